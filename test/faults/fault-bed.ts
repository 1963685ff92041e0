import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describeError, isHoldfastError } from '../../src/base/errors.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { type Backend, fileTypes } from '../../src/storage/backend.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { openBackend } from '../../src/storage/open.ts';
import {
  backUp,
  checkAll,
  initRepository,
  singleThreaded as environment,
  withRepository,
} from '../tools/engine.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import { mustRestic } from '../tools/restic.ts';
import type { Scratch } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

/** A folder to back up, and repositories of it in memory, for storages that go wrong. */
export class FaultBed {
  readonly source: string;
  /** A repository without snapshots. */
  readonly empty: MemoryFiles = new Map();
  /** A repository with one snapshot of the folder as it was before it was changed. */
  readonly pristine: MemoryFiles = new Map();
  before: Content = new Map();
  after: Content = new Map();
  readonly #scratch: Scratch;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.source = scratch.fresh('source');
  }

  async prepare(): Promise<void> {
    const { source } = this;
    mkdirSync(join(source, 'sub'), { recursive: true });
    writeFileSync(join(source, 'text'), 'some text');
    writeFileSync(join(source, 'sub/bytes'), pseudoRandom(40_000, 1));
    await initRepository(new MemoryBackend(this.empty));
    for (const [key, bytes] of this.empty) this.pristine.set(key, bytes);
    await this.backUp(new MemoryBackend(this.pristine));
    this.before = contentOf(source);
    writeFileSync(join(source, 'text'), 'some other text');
    writeFileSync(join(source, 'sub/more'), pseudoRandom(30_000, 2));
    this.after = contentOf(source);
  }

  backUp(backend: Backend): ReturnType<typeof backUp> {
    return backUp(backend, [this.source], { environment, options: { workerCount: 1 } });
  }

  /**
   * Restores the newest snapshot that can be loaded, and says what was complained about. Other unreadable files are
   * passed over.
   */
  async restored(backend: Backend): Promise<{
    readonly count: number;
    readonly content: Content;
    readonly complaints: readonly string[];
  }> {
    return withRepository(backend, { environment }, async (repository) => {
      const complaints: string[] = [];
      const monitor = {
        problem: ({ item, error }: { item: string; error: unknown }) =>
          complaints.push(`${item}: ${describeError(error)}`),
        note: () => {},
        progress: () => {},
      };
      const onProblem = (error: unknown): void => void complaints.push(describeError(error));
      const snapshots = await loadSnapshots(repository, { onUnreadable: tellUnreadable(monitor) });
      const index = await loadIndex(repository, { onProblem });
      const snapshot = snapshots.at(-1);
      if (!snapshot) return { count: 0, content: new Map(), complaints };
      const target = this.#scratch.fresh('target');
      const options = { overwrite: 'always', subfolder: this.source, workerCount: 1 } as const;
      const request = { snapshot, target: Buffer.from(target), options };
      try {
        await restore(new IndexedRepository(repository, index), request, { environment, monitor });
      } catch (error) {
        // What is there nevertheless must be right.
        if (!isHoldfastError(error)) throw error;
        complaints.push(describeError(error));
      }
      mkdirSync(target, { recursive: true });
      const content = withoutMark(contentOf(target));
      this.#scratch.remove(target);
      return { count: snapshots.length, content, complaints };
    });
  }

  /** What check finds in files that nothing damages any more. */
  async damageIn(files: MemoryFiles): Promise<readonly string[]> {
    return (await checkAll(new MemoryBackend(files), { kind: 'all' }, environment)).errors;
  }

  /** Asks restic: its check must find nothing, and what it restores is returned. */
  async askRestic(files: MemoryFiles): Promise<Content> {
    const repository = this.#scratch.fresh('repository');
    const backend = await openBackend(repository, { environment });
    await backend.create();
    const memory = new MemoryBackend(files);
    for (const type of fileTypes) {
      for await (const { name } of memory.list(type)) {
        await backend.put({ type, name }, [await memory.get({ type, name })]);
      }
    }
    await backend.close();
    await mustRestic(repository, ['check', '--read-data']);
    const target = this.#scratch.fresh('target');
    await mustRestic(repository, ['restore', `latest:${this.source}`, '--target', target]);
    const content = contentOf(target);
    this.#scratch.remove(target);
    this.#scratch.remove(repository);
    return content;
  }
}

/** A restore that an error ended leaves its mark. */
function withoutMark(content: Content): Content {
  const mark = `/${Buffer.from(markName).toString()}`;
  return new Map([...content].filter(([path]) => path !== mark));
}

/** True if a password opens the repository. */
export async function opensWith(backend: Backend, password: string): Promise<boolean> {
  try {
    await openRepository(backend, { environment, password: Buffer.from(password) });
    return true;
  } catch (error) {
    if (!isHoldfastError(error, 'PASSWORD_WRONG')) throw error;
    return false;
  }
}
