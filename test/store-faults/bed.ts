import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isHoldfastError } from '../../src/base/errors.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/engine/repair-index.ts';
import { restore } from '../../src/engine/restore.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { loadSnapshots } from '../../src/repository/snapshots.ts';
import { type Backend, fileTypes } from '../../src/storage/backend.ts';
import { LocalBackend } from '../../src/storage/local/local-backend.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { checkAll, initRepository, singleThreaded, withRepository } from '../tools/engine.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import { mustRestic } from '../tools/restic.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import { Client } from './client.ts';
import { type Outcome, runOperation, type Work } from './operations.ts';

/** A folder that what is started and made for the runs lies in. */
export interface Room {
  /** A fresh path below it, which does not exist yet. */
  fresh(name: string): string;
  remove(place: string): void;
}

const dayMs = 25 * 3_600_000;

/** What is backed up, and repositories of it in memory. */
export class Bed {
  readonly #room: Room;
  readonly source: string;
  /** A repository without snapshots. */
  readonly empty: MemoryFiles = new Map();
  /** Two snapshots, packs that nothing needs, and some that were marked a day ago. */
  readonly full: MemoryFiles = new Map();
  /** What each snapshot of `full` must give back, by its name. */
  readonly contents = new Map<string, Content>();
  /** What a backup finds now. */
  now: Content = new Map();

  constructor(room: Room) {
    this.#room = room;
    this.source = room.fresh('source');
  }

  async prepare(): Promise<void> {
    await initRepository(new MemoryBackend(this.empty));
    for (const [key, bytes] of this.empty) this.full.set(key, bytes);
    const backend = new MemoryBackend(this.full);
    const before = new Client();
    before.clock.skewMs = -dayMs;
    this.#write({ same: 1, gone: 2, 'sub/old': 3 });
    await this.#forget(await this.#mustRun('backup', { backend, client: before }));
    this.#write({ same: 1, first: 4, 'sub/old': 5 });
    await this.#enter(await this.#mustRun('backup', { backend, client: before }));
    await this.#mustRun('prune', { backend, client: before });
    before.exit();
    const client = new Client();
    this.#write({ same: 1, gone: 6, 'sub/gone': 7 });
    await this.#forget(await this.#mustRun('backup', { backend, client }));
    this.#write({ same: 1, second: 8, 'sub/old': 5 });
    await this.#enter(await this.#mustRun('backup', { backend, client }));
    client.exit();
    this.#write({ same: 1, second: 8, third: 9, 'sub/new': 10, 'sub/small': 0 });
    this.now = contentOf(this.source);
  }

  /** Files by their seeds, in place of what is there. */
  #write(files: Readonly<Record<string, number>>): void {
    this.#room.remove(this.source);
    mkdirSync(join(this.source, 'sub'), { recursive: true });
    for (const [name, seed] of Object.entries(files)) {
      writeFileSync(join(this.source, name), pseudoRandom(seed * 4000, seed));
    }
  }

  async #mustRun(
    name: 'backup' | 'prune',
    { backend, client }: { readonly backend: Backend; readonly client: Client },
  ): Promise<Outcome> {
    const outcome = await runOperation(name, { ...this.work(client), backend });
    if (outcome.end !== 'ok') throw new Error(`${name}: ${outcome.said.join('\n')}`);
    return outcome;
  }

  async #forget({ stored: [id = ''] }: Outcome): Promise<void> {
    await new MemoryBackend(this.full).remove({ type: 'snapshot', name: id });
  }

  async #enter({ stored: [id = ''] }: Outcome): Promise<void> {
    this.contents.set(id, contentOf(this.source));
  }

  /** Work on nothing in particular. */
  work(client: Client): Work {
    const nothing = new MemoryBackend();
    const target = this.#room.fresh('target');
    const how = { isSource: false, isInstant: false };
    return { client, backend: nothing, other: nothing, source: this.source, target, ...how };
  }

  /** What a target of `work` holds of the source; removed with it. */
  takeTarget(target: string): Content {
    mkdirSync(join(target, this.source), { recursive: true });
    const content = contentOf(join(target, this.source));
    this.#room.remove(target);
    return content;
  }

  /** Names of all snapshots that can be loaded, and the content of those that are asked for. */
  async restoreFrom(files: MemoryFiles, id: string): Promise<Content> {
    const backend = new MemoryBackend(files);
    const environment = singleThreaded;
    return withRepository(backend, { environment }, async (repository) => {
      const snapshot = (await loadSnapshots(repository)).find((each) => each.id === id);
      if (!snapshot) throw new Error(`there is no snapshot ${id}`);
      const indexed = new IndexedRepository(repository, await loadIndex(repository));
      const target = this.#room.fresh('judged');
      const problems: string[] = [];
      const monitor = {
        problem: ({ item }: { item: string }) => void problems.push(item),
        note: () => {},
        progress: () => {},
      };
      const options = { overwrite: 'always', workerCount: 1 } as const;
      const request = { snapshot, target: Buffer.from(target), options };
      try {
        await restore(indexed, request, { environment, monitor });
      } catch (error) {
        if (!isHoldfastError(error)) throw error;
      }
      return this.takeTarget(target);
    });
  }

  /** Names of the snapshots. */
  async snapshotsOf(files: MemoryFiles): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of new MemoryBackend(files).list('snapshot')) names.push(name);
    return names;
  }

  /** What check finds in what is stored. */
  async damageIn(files: MemoryFiles): Promise<readonly string[]> {
    return (await checkAll(new MemoryBackend(files), { kind: 'all' }, singleThreaded)).errors;
  }

  /** Has the index list what the packs hold. */
  async repairIndex(place: { readonly openSound: () => Promise<Backend> }): Promise<void> {
    const backend = await place.openSound();
    const environment = singleThreaded;
    await withRepository(backend, { environment }, async (repository) => {
      const monitor = { problem: () => {}, note: () => {}, progress: () => {}, phase: () => {} };
      const context = { environment, monitor };
      const plan = await planIndexRepair(repository, { readAllPacks: false }, context);
      await executeIndexRepair(repository, plan, context);
      await repository.close();
    });
  }

  /** Has restic check all and restore a snapshot. */
  async askRestic(files: MemoryFiles, id: string): Promise<Content> {
    const repository = this.#room.fresh('restic');
    await storeAll(files, await openFolder(repository));
    await mustRestic(repository, ['check', '--read-data']);
    const target = this.#room.fresh('restic-target');
    await mustRestic(repository, ['restore', id, '--target', target]);
    this.#room.remove(repository);
    return this.takeTarget(target);
  }
}

/** A folder as a storage, its folders made. */
export async function openFolder(folder: string): Promise<Backend> {
  const backend = await LocalBackend.open(folder, {
    environment: singleThreaded,
    connectionCount: 2,
  });
  await backend.create();
  return backend;
}

/** All files of a storage. */
export async function loadAll(backend: Backend): Promise<MemoryFiles> {
  const files: MemoryFiles = new Map();
  const memory = new MemoryBackend(files);
  for (const type of fileTypes) {
    const names: string[] = [];
    for await (const { name } of backend.list(type)) names.push(name);
    const load = async (name: string): Promise<void> => {
      await memory.put({ type, name }, [await backend.get({ type, name })]);
    };
    await Promise.all(names.map(load));
  }
  return files;
}

/** Puts all files into an empty storage. */
export async function storeAll(files: MemoryFiles, backend: Backend): Promise<void> {
  const memory = new MemoryBackend(files);
  for (const type of fileTypes) {
    const names: string[] = [];
    for await (const { name } of memory.list(type)) names.push(name);
    const store = async (name: string): Promise<void> => {
      await backend.put({ type, name }, [await memory.get({ type, name })]);
    };
    await Promise.all(names.map(store));
  }
}
