import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { describeError } from '../../src/base/errors.ts';
import { restore } from '../../src/engine/restore.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshots.ts';
import { openBackend } from '../../src/storage/open.ts';
import { backUp, checkAll, initRepository, password } from '../tools/engine.ts';
import { findPeer } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import type { Scratch } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

/** The password that key commands bring in. */
export const newPassword = 'y';

/** Every file below a folder with its content. */
export type Content = ReadonlyMap<string, Buffer>;

export function contentOf(root: string): Content {
  const found = new Map<string, Buffer>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(root.length), readFileSync(path));
  }
  return found;
}

function equalContent(a: Content, b: Content): boolean {
  return a.size === b.size && [...a].every(([path, bytes]) => b.get(path)?.equals(bytes));
}

/**
 * A folder to back up, a repository with one snapshot of it, and copies of that repository for programs that are killed.
 *
 * Holds every state against the invariants: what was there restores, nothing is there by halves, check finds no damage,
 * a known password opens it, and restic says the same.
 */
export class CrashBed {
  readonly source: string;
  readonly #scratch: Scratch;
  /** The repository with one snapshot. */
  readonly pristine: string;
  /** What the snapshots may hold: that of the first one, and that of the folder now. */
  readonly #contents: Content[] = [];

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.source = scratch.fresh('source');
    this.pristine = scratch.fresh('pristine');
  }

  /** Makes the folder and the repository; then changes the folder, for another snapshot. */
  async prepare(): Promise<void> {
    mkdirSync(join(this.source, 'sub'), { recursive: true });
    writeFileSync(join(this.source, 'text'), 'some text\n');
    writeFileSync(join(this.source, 'sub/bytes'), pseudoRandom(70_000, 1));
    await initRepository(this.pristine);
    await backUp(this.pristine, [this.source]);
    this.#contents.push(contentOf(this.source));
    writeFileSync(join(this.source, 'text'), 'some other text\n');
    writeFileSync(join(this.source, 'sub/more'), pseudoRandom(50_000, 2));
    this.#contents.push(contentOf(this.source));
  }

  /** A copy of the repository; or a place where there is none yet. */
  repository(isEmpty: boolean): string {
    return isEmpty ? this.#scratch.fresh('repository') : this.copyOf(this.pristine);
  }

  copyOf(repository: string): string {
    const copy = this.#scratch.fresh('repository');
    cpSync(repository, copy, { recursive: true });
    return copy;
  }

  /** Ids of the key files. */
  keysOf(repository: string): string[] {
    return readdirSync(join(repository, 'keys')).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  /**
   * Throws if a state breaks an invariant.
   * @param counts how many snapshots there may be
   */
  async examine(
    repository: string,
    counts: readonly number[],
    { withRestic = false } = {},
  ): Promise<void> {
    const { errors } = await checkAll(repository);
    if (errors.length > 0) throw new Error(`check finds damage: ${errors.join('\n')}`);
    const found = await this.#restoreAll(repository);
    if (!counts.includes(found)) throw new Error(`there are ${found} snapshots`);
    if (withRestic && findPeer('restic')) await this.#askRestic(repository);
  }

  /** Throws unless one of the passwords opens the repository. @returns those that do */
  async passwordsOf(repository: string): Promise<string[]> {
    const opening: string[] = [];
    for (const each of [password, newPassword]) {
      try {
        const backend = await openBackend(repository, { environment });
        const options = { environment, password: Buffer.from(each) };
        await (await openRepository(backend, options)).close();
        opening.push(each);
      } catch {
        // The other one may.
      }
    }
    if (opening.length === 0) throw new Error('no password opens the repository any more');
    return opening;
  }

  remove(place: string): void {
    this.#scratch.remove(place);
  }

  /** Restores every snapshot; each must be one of those that were made, whole. @returns their number */
  async #restoreAll(repository: string): Promise<number> {
    const backend = await openBackend(repository, { environment });
    const opened = await openRepository(backend, { environment, password: Buffer.from(password) });
    try {
      const snapshots = await loadSnapshots(opened);
      const indexed = new IndexedRepository(opened, await loadIndex(opened));
      for (const snapshot of snapshots) await this.#restoreOne(indexed, snapshot);
      return snapshots.length;
    } finally {
      await opened.close();
    }
  }

  async #restoreOne(indexed: IndexedRepository, snapshot: StoredSnapshot): Promise<void> {
    const target = this.#scratch.fresh('target');
    const problems: string[] = [];
    const monitor = {
      problem: ({ error }: { error: unknown }) => problems.push(describeError(error)),
      note: () => {},
      progress: () => {},
    };
    const options = { overwrite: 'always', workerCount: 1, subfolder: this.source } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    await restore(indexed, request, { environment, monitor });
    if (problems.length > 0) throw new Error(`snapshot ${snapshot.id}: ${problems.join('\n')}`);
    this.#expectKnown(target);
  }

  #expectKnown(target: string): void {
    const content = contentOf(target);
    const isKnown = this.#contents.some((known) => equalContent(known, content));
    if (!isKnown) throw new Error('a snapshot does not hold what was backed up');
    rmSync(target, { recursive: true });
  }

  /** The official program must find no error, and restore the same bytes. */
  async #askRestic(repository: string): Promise<void> {
    if (!existsSync(join(repository, 'config'))) return;
    await mustRestic(repository, ['unlock']);
    await mustRestic(repository, ['check', '--read-data']);
    const target = this.#scratch.fresh('target');
    await mustRestic(repository, ['restore', `latest:${this.source}`, '--target', target]);
    this.#expectKnown(target);
  }
}
