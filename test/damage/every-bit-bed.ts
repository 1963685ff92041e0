import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import type { Problem } from '../../src/base/monitor.ts';
import { check, type CheckResult } from '../../src/engine/check.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { MemoryBackend, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import {
  backUp,
  initRepository,
  singleThreaded as environment,
  withRepository,
} from '../tools/engine.ts';
import { type Content, contentOf } from '../tools/manifest.ts';
import type { Scratch } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

/** A bit of a file of the repository. */
export interface Flip {
  readonly key: string;
  readonly byte: number;
  readonly bit: number;
}

/** What became of a flip. */
export interface Judgement {
  readonly isFound: boolean;
  /** Everything came back. */
  readonly isRestored: boolean;
}

/** What a restore gave and said. */
interface Restored {
  /** Items that problems were told of, or the code of what ended it. */
  readonly complaints: ReadonlySet<string>;
  /** What came back, all of it right. */
  readonly found: Content;
}

const fileCount = 14;
const fileSizeBytes = 13_000;
const monitor = { problem: () => {}, note: () => {}, progress: () => {}, phase: () => {} };

/**
 * A repository of 200 kB in memory, of which bits are flipped: each state is judged by `check` with the stored bytes and by
 * a restore, both as they are.
 *
 * Flips in packs of data can be judged together, one of each pack: `check` names packs, and a restore names files, so
 * that every flip is judged by itself all the same. What is said of a pack comes of its own bytes and of the index, which
 * is whole; a file leans on the packs without which it is lost, which is found out by taking each away. What leans on no
 * pack that was hit must come back without a word.
 */
export class EveryBitBed {
  readonly files: MemoryFiles = new Map();
  readonly #scratch: Scratch;
  readonly #target: string;
  #whole: Content = new Map();
  /** Names of files that are lost without a pack of data, by its key. */
  readonly #leaning = new Map<string, ReadonlySet<string>>();

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.#target = scratch.fresh('target');
  }

  async prepare(): Promise<void> {
    const source = this.#scratch.fresh('source');
    mkdirSync(join(source, 'sub'), { recursive: true });
    for (let file = 0; file < fileCount; file++) {
      const name = file % 2 === 0 ? `bytes ${file}` : `sub/bytes ${file}`;
      writeFileSync(join(source, name), pseudoRandom(fileSizeBytes, file + 1));
    }
    writeFileSync(join(source, 'text'), 'some text\n'.repeat(40));
    const lines = Array.from(pseudoRandom(4000, 77), (byte) => `line ${byte}\n`);
    writeFileSync(join(source, 'sub/lines'), lines.join(''));
    const backend = new MemoryBackend(this.files);
    await initRepository(backend);
    await backUp(backend, ['.'], {
      environment,
      // Many packs: reading one again costs less than reading all.
      packSizeBytes: 10_000,
      options: { workerCount: 1 },
      source: { workingDirectory: source },
    });
    this.#whole = contentOf(source);
    await this.opened(async (repository) => {
      for (const key of this.keysOf('pack')) {
        const lost = await this.#lostWithout(repository, key);
        if (lost.size < this.#whole.size) this.#leaning.set(key, lost);
      }
    });
  }

  opened<T>(action: (repository: Repository) => Promise<T>): Promise<T> {
    return withRepository(new MemoryBackend(this.files), { environment }, action);
  }

  /** Keys of the files of a kind. */
  keysOf(type: string): readonly string[] {
    return [...this.files.keys()].filter((key) => key.split('/')[0] === type);
  }

  /** Keys of the packs that hold no trees. */
  get dataPacks(): readonly string[] {
    return [...this.#leaning.keys()];
  }

  sizeOf(key: string): number {
    return this.files.get(key)?.byteLength ?? 0;
  }

  /** Does something while some bits are others. */
  async flipped<T>(flips: readonly Flip[], action: () => Promise<T>): Promise<T> {
    this.#flip(flips);
    try {
      return await action();
    } finally {
      this.#flip(flips);
    }
  }

  #flip(flips: readonly Flip[]): void {
    for (const { key, byte, bit } of flips) {
      const bytes = this.files.get(key) ?? new Uint8Array();
      bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
    }
  }

  /** Checks and restores while a bit is flipped. @throws if wrong bytes come back, or less than all without a word */
  async judge(repository: Repository): Promise<Judgement> {
    const { errorCount } = await checked(repository);
    const { complaints, found } = await this.#restored(repository);
    const isWhole = found.size === this.#whole.size;
    if (complaints.size === 0 && !isWhole) {
      throw new Error(`${found.size} of ${this.#whole.size} files came back, and nothing was said`);
    }
    return { isFound: errorCount > 0, isRestored: complaints.size === 0 };
  }

  /**
   * Checks and restores while a bit of each of these packs is flipped. @returns by the keys of the packs
   * @throws as `judge`, and if anything is said of what was not hit
   */
  async judgeTogether(
    repository: Repository,
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, Judgement>> {
    const { errors, brokenPacks } = await checked(repository);
    const { complaints, found } = await this.#restored(repository);
    const judgements = new Map<string, Judgement>();
    const others = new Set(this.#whole.keys());
    for (const key of keys) {
      const name = key.slice('pack/'.length);
      const isFound =
        brokenPacks.includes(name) && errors.some((error) => error.startsWith(`pack ${name}`));
      const leaning = [...(this.#leaning.get(key) ?? [])];
      for (const file of leaning) others.delete(file);
      for (const file of leaning) this.#expectTold(file, { complaints, found });
      const isRestored = leaning.every((file) => found.has(file) && !complaints.has(file));
      judgements.set(key, { isFound, isRestored });
    }
    const told = [...complaints, ...brokenPacks.map((name) => `pack/${name}`)];
    const wrong = told.filter(
      (item) => others.has(item) || (item.startsWith('pack/') && !keys.includes(item)),
    );
    if (wrong.length > 0) throw new Error(`nothing was done to ${wrong.join(', ')}`);
    for (const file of others) this.#expectTold(file, { complaints, found });
    return judgements;
  }

  #expectTold(file: string, { complaints, found }: Restored): void {
    if (found.has(file) || complaints.has(file)) return;
    throw new Error(`${file} did not come back, and nothing was said`);
  }

  /** Names of the files that do not come back without a pack. */
  async #lostWithout(repository: Repository, key: string): Promise<ReadonlySet<string>> {
    const bytes = this.files.get(key) ?? new Uint8Array();
    this.files.delete(key);
    try {
      const { complaints, found } = await this.#restored(repository);
      const lost = [...this.#whole.keys()].filter((name) => !found.has(name));
      if (lost.length === 0 || complaints.size === 0) throw new Error(`nothing leans on ${key}`);
      return new Set(lost);
    } finally {
      this.files.set(key, bytes);
    }
  }

  /** Restores the snapshot. @throws for wrong bytes */
  async #restored(repository: Repository): Promise<Restored> {
    const target = this.#target;
    const complaints = new Set<string>();
    const hearing = { ...monitor, problem: ({ item }: Problem) => void complaints.add(item) };
    try {
      const snapshots = await loadSnapshots(repository, { onUnreadable: tellUnreadable(hearing) });
      const index = await loadIndex(repository, {
        onProblem: ({ code }) => void complaints.add(code),
      });
      const snapshot = snapshots.at(-1);
      if (!snapshot) throw new HoldfastError('SNAPSHOT_NOT_FOUND');
      const options = { overwrite: 'always', workerCount: 1 } as const;
      const request = { snapshot, target: Buffer.from(target), options };
      const indexed = new IndexedRepository(repository, index);
      await restore(indexed, request, { environment, monitor: hearing });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      complaints.add(error.code);
    }
    const found = this.#rightIn(target);
    this.#scratch.remove(target);
    return { complaints, found };
  }

  /** What was restored. @throws if a file is wrong */
  #rightIn(target: string): Content {
    const found = new Map<string, Buffer>();
    for (const [name, bytes] of existsSync(target) ? contentOf(target) : []) {
      if (name.endsWith(Buffer.from(markName).toString())) continue;
      if (!this.#whole.get(name)?.equals(bytes)) throw new Error(`${name} came back wrong`);
      found.set(name, bytes);
    }
    return found;
  }
}

/** With all stored bytes. */
function checked(repository: Repository): Promise<CheckResult> {
  const options = { readData: { kind: 'all' } } as const;
  return check(repository, options, { environment, monitor });
}
