import { cpSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { toHex } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { isHoldfastError } from '../../src/base/errors.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { addKey } from '../../src/repository/keys.ts';
import { encodeLock } from '../../src/repository/locks.ts';
import { loadSnapshots } from '../../src/repository/snapshots.ts';
import {
  backUp,
  hurried,
  initRepository,
  listSnapshots,
  password,
  singleThreaded,
  withIndex,
  withRepository,
} from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import type { Scratch } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import { damages, filesIn, otherName, type Victim } from './matrix-damages.ts';

/** A file that changed within a tenth of a second before a backup is read again by the next one, whatever the index has. */
const settledMs = 200;

/** Kinds of files, or of parts of them. */
export const fileKinds = [
  'config',
  'key',
  'index',
  'snapshot',
  'lock',
  'pack header',
  'tree blob',
  'data blob',
] as const;
export type FileKind = (typeof fileKinds)[number];

/** Damages that make sense of a kind: what is done to a whole pack is done to that of trees and that of data. */
export function damagesOf(kind: FileKind): string[] {
  return Object.keys(damages).filter((damage) => {
    if (kind === 'config') return damage !== 'swap' && damage !== 'duplicate';
    return kind !== 'pack header' || ['flip', 'truncate', 'zero'].includes(damage);
  });
}

const secondKey = {
  password: Buffer.from('y'),
  hostname: 'host',
  username: 'user',
  scrypt: { N: 1024, r: 8, p: 1 },
};

const owner = { hostname: 'elsewhere', username: 'anna', pid: 1 };

export interface DamagedRepository {
  readonly repository: string;
  /** The file that was hit. */
  readonly hit: string;
  /** What files are called in the table. */
  readonly names: ReadonlyMap<string, string>;
}

/** A repository, copies of it that are damaged, and what they must still give back. */
export class MatrixBed {
  readonly source: string;
  /** Two snapshots, with packs and an index file each, of one thread. */
  readonly #whole: string;
  readonly #foreign: string;
  readonly #scratch: Scratch;
  /** What the folder held at each backup, oldest first. */
  readonly contents: Content[] = [];
  /** Ids that outcomes name, and what they are called there. */
  readonly names = new Map<string, string>();

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.source = scratch.fresh('source');
    this.#whole = scratch.fresh('whole');
    this.#foreign = scratch.fresh('foreign');
  }

  async prepare(): Promise<void> {
    const { source } = this;
    mkdirSync(join(source, 'sub'), { recursive: true });
    writeFileSync(join(source, 'text'), 'some text\n'.repeat(50));
    writeFileSync(join(source, 'sub/bytes'), pseudoRandom(20_000, 1));
    await systemClock.sleep(settledMs);
    for (const repository of [this.#whole, this.#foreign]) {
      await initRepository(repository);
      await this.#backUp(repository);
    }
    await withRepository(this.#whole, {}, (opened) => addKey(opened, secondKey));
    this.contents.push(contentOf(source));
    writeFileSync(join(source, 'sub/more'), pseudoRandom(9_000, 2));
    await systemClock.sleep(settledMs);
    await this.#backUp(this.#whole);
    this.contents.push(contentOf(source));
    // A third state, which backups of the matrix store.
    writeFileSync(join(source, 'sub/third'), pseudoRandom(5_000, 3));
    this.contents.push(contentOf(source));
    for (const [nth, { id }] of (await listSnapshots(this.#whole)).entries()) {
      this.names.set(id, nth === 0 ? 'OLDEST' : 'NEWEST');
    }
  }

  #backUp(repository: string): ReturnType<typeof backUp> {
    return backUp(repository, [this.source], {
      environment: singleThreaded,
      options: { workerCount: 1 },
    });
  }

  /** A copy of the repository with a damage, and the names of the files that have to do with it. */
  async damaged(kind: FileKind | 'none', damage: string): Promise<DamagedRepository> {
    const repository = this.copyOf(this.#whole);
    if (kind === 'none') return { repository, hit: '', names: new Map() };
    const foreign = this.copyOf(this.#foreign);
    if (kind === 'lock') for (const each of [repository, foreign]) await lockTwice(each);
    const victim = await this.#victim(repository, kind, filesIn(foreign, folderOf(kind))[0] ?? '');
    damages[damage]?.(victim);
    this.#scratch.remove(foreign);
    const hit = basename(victim.file);
    const names = new Map([[hit, 'HIT']]);
    if (kind === 'config') names.clear();
    if (damage === 'swap') names.set(basename(victim.second ?? ''), 'HIT');
    if (damage === 'duplicate') names.set(otherName(hit), 'COPY');
    if (damage === 'foreign') names.set(basename(victim.foreign), 'FOREIGN');
    return { repository, hit, names };
  }

  copyOf(repository: string): string {
    const place = this.#scratch.fresh('repository');
    cpSync(repository, place, { recursive: true });
    return place;
  }

  fresh(name: string): string {
    return this.#scratch.fresh(name);
  }

  remove(place: string): void {
    this.#scratch.remove(place);
  }

  /** Of the oldest snapshot what is hit: its file, its index, its packs. */
  async #victim(repository: string, kind: FileKind, foreign: string): Promise<Victim> {
    const files = await this.#filesOf(repository, kind);
    const [file = '', second] = files;
    return { file, second, foreign, range: await rangeIn(repository, kind, file) };
  }

  async #filesOf(repository: string, kind: FileKind): Promise<string[]> {
    if (kind === 'snapshot') {
      const snapshots = await listSnapshots(repository);
      return snapshots.map(({ id }) => join(repository, 'snapshots', id));
    }
    const files = filesIn(repository, folderOf(kind));
    if (kind === 'key') {
      // The one that the password opens.
      const used = await withRepository(repository, {}, async ({ keyId }) => keyId);
      return files.toSorted((a) => (a.endsWith(used) ? -1 : 1));
    }
    if (kind === 'index') {
      // The larger one is that of the first backup.
      return files.toSorted((a, b) => statSync(b).size - statSync(a).size);
    }
    if (!/blob|pack/.test(kind)) return files;
    const type = kind === 'tree blob' ? 'tree' : 'data';
    const packs = await packsOf(repository, type);
    return packs.map((id) => join(repository, 'data', id.slice(0, 2), id));
  }

  /** Runs a command in this process. */
  run(repository: string, args: readonly string[]): Promise<CommandRun> {
    const variables = {
      RESTIC_REPOSITORY: repository,
      RESTIC_PASSWORD: password,
      TZ: 'UTC',
      PATH: process.env['PATH'] ?? '',
    };
    return runCommand(['--no-cache', ...args], { variables, environment: hurried });
  }

  /**
   * Files that can be restored from all snapshots, as `name size`. Throws if one comes back with bytes that it never had.
   */
  async salvaged(repository: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    try {
      await withRepository(repository, { environment: singleThreaded }, async (opened) => {
        const monitor = { problem: () => {}, note: () => {}, progress: () => {} };
        const snapshots = await loadSnapshots(opened, { onUnreadable: () => {} });
        const index = await loadIndex(opened, { onProblem: () => {} });
        const indexed = new IndexedRepository(opened, index);
        for (const snapshot of snapshots) {
          const target = this.#scratch.fresh('target');
          const options = { overwrite: 'always', workerCount: 1 } as const;
          const request = { snapshot, target: Buffer.from(target), options };
          await restore(indexed, request, { environment: singleThreaded, monitor }).catch(expected);
          const isRepaired = snapshot.original !== undefined;
          for (const name of this.#rightIn(target, isRepaired)) found.add(name);
          this.#scratch.remove(target);
        }
      });
    } catch (error) {
      expected(error);
    }
    return found;
  }

  /** Names of the files that were restored. @throws if one is wrong */
  #rightIn(target: string, isRepaired: boolean): string[] {
    if (!existsSync(target)) return [];
    const found: string[] = [];
    for (const [path, bytes] of contentOf(target)) {
      if (path.endsWith(Buffer.from(markName).toString())) continue;
      // Below a folder of its own where trees were recovered.
      const name = path.slice(path.indexOf(this.source) + this.source.length);
      const isRight = this.contents.some((content) => content.get(name)?.equals(bytes));
      if (isRight) found.push(`${name} ${bytes.byteLength}`);
      else if (!isRepaired) throw new Error(`${path} came back with wrong bytes`);
    }
    return found;
  }

  /** Files of each kind that are in one and not in the other: `index +1 -2`. */
  changes(before: ReadonlySet<string>, repository: string): string {
    const after = this.filesOf(repository);
    const kinds = ['config', 'keys', 'index', 'snapshots', 'data', 'locks'];
    return kinds
      .map((kind) => {
        const isOf = (name: string): boolean => name.startsWith(kind);
        const added = [...after].filter((name) => isOf(name) && !before.has(name)).length;
        const gone = [...before].filter((name) => isOf(name) && !after.has(name)).length;
        return `${added > 0 ? ` +${added}` : ''}${gone > 0 ? ` -${gone}` : ''}`.replace(
          /^(?=.)/,
          kind,
        );
      })
      .filter((text) => text !== '')
      .join(', ');
  }

  /** All files of a repository with their sizes. */
  filesOf(repository: string): ReadonlySet<string> {
    const files = filesIn(repository, '.');
    return new Set(
      files.map((file) => `${file.slice(repository.length + 1)} ${statSync(file).size}`),
    );
  }

  /** Makes a target that is there already fresh. */
  clear(place: string): void {
    rmSync(place, { recursive: true, force: true });
  }
}

function expected(error: unknown): void {
  if (!isHoldfastError(error)) throw error;
}

function folderOf(kind: FileKind): string {
  const folders = { config: 'config', key: 'keys', index: 'index', lock: 'locks' } as const;
  if (kind === 'snapshot') return 'snapshots';
  return kind in folders ? folders[kind as keyof typeof folders] : 'data';
}

/** Two locks of other machines, which look alive. */
async function lockTwice(repository: string): Promise<void> {
  const seconds = Math.floor(systemClock.wallMs() / 1000);
  await withRepository(repository, {}, async (opened) => {
    for (const pid of [1, 2]) {
      const time = { seconds, nanoseconds: pid };
      await opened.saveUnpacked('lock', encodeLock({ time, exclusive: false, ...owner, pid }));
    }
  });
}

function packSize(repository: string, id: string): number {
  return statSync(join(repository, 'data', id.slice(0, 2), id)).size;
}

/** Packs of a type, the largest first. */
function packsOf(repository: string, type: 'data' | 'tree'): Promise<string[]> {
  return withIndex(repository, {}, async ({ index }) => {
    const packs = new Set<string>();
    for (let entry = 0; entry < index.blobCount; entry++) {
      if (index.typeOf(entry) === type) packs.add(toHex(index.packId(index.packOf(entry))));
    }
    return [...packs].toSorted((a, b) => packSize(repository, b) - packSize(repository, a));
  });
}

/** Bytes of a file that are hit: of a pack its header, or its first blob; else all. */
async function rangeIn(
  repository: string,
  kind: FileKind,
  file: string,
): Promise<readonly [number, number]> {
  const { size } = statSync(file);
  if (!/blob|header/.test(kind)) return [0, size];
  return withIndex(repository, {}, async ({ index }) => {
    const pack = index.findPack(Buffer.from(basename(file), 'hex'));
    const ends = [0];
    let firstEnd = size;
    for (let entry = 0; entry < index.blobCount; entry++) {
      if (index.packOf(entry) !== pack) continue;
      const end = index.offsetOf(entry) + index.lengthOf(entry);
      ends.push(end);
      firstEnd = Math.min(firstEnd, end);
    }
    return kind === 'pack header' ? [Math.max(...ends), size] : [0, firstEnd];
  });
}
