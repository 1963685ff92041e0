import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describeError, isHoldfastError } from '../../src/base/errors.ts';
import { check } from '../../src/engine/check.ts';
import { restore } from '../../src/engine/restore.ts';
import { markName } from '../../src/engine/restore/restore-mark.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshots.ts';
import { openBackend } from '../../src/storage/open.ts';
import {
  backUp,
  initRepository,
  password,
  singleThreaded as environment,
} from '../tools/engine.ts';
import { equalManifests, type Manifest, manifestOf } from '../tools/manifest.ts';
import { findPeer } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import type { Scratch } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import { shapeOf } from './repository-print.ts';

/** The password that key commands bring in. */
export const newPassword = 'y';

/** What a state is held against. */
export interface Expectation {
  /** How many snapshots there may be. */
  readonly snapshots: readonly number[];
  /** Ask restic, too: always, or of each state once. */
  readonly withRestic?: boolean | StatesAsked;
  /** Snapshots may lack something: then only what they have must restore. */
  readonly allowsPartial?: boolean;
  /** What opens it; default the first password. */
  readonly password?: string;
  /** What each snapshot of the folder must hold one of; default what was backed up. */
  readonly holds?: readonly Manifest[];
}

/**
 * States of repositories that restic was asked about, after runs of one command on copies of one repository.
 *
 * Runs that go the same way leave other names and nonces, and nothing else that differs. So restic is asked once where as
 * many files of each kind are there, with packs of the same sizes, and hold the same; but every state is read whole by our
 * own check first, and restored: names are right, seals are right, and what comes back is. Asking each time found nothing
 * more, and took most of the time.
 */
export class StatesAsked {
  readonly #known = new Set<string>();

  get count(): number {
    return this.#known.size;
  }

  /** Asks unless a state like it was asked about, and found right. */
  async once(state: string, ask: () => Promise<void>): Promise<void> {
    if (this.#known.has(state)) return;
    await ask();
    this.#known.add(state);
  }
}

/** Of files: what is larger is opened in buffers of 8 MiB, which took half the time of looking at a repository. */
const fileSizeBytes = 60_000;

/** What is in a repository, as our own restore has it. */
interface Found {
  readonly snapshots: readonly StoredSnapshot[];
  /** Of each snapshot its path and a digest of the names and bytes of its files. */
  readonly holdings: readonly string[];
}

/**
 * Folders to back up, repositories of them, and copies of those for programs that are killed.
 *
 * Holds every state against the invariants of the project: I1 what was reported done restores with content and
 * metadata, I2 a snapshot is there whole or not at all, I4a check finds no damage after any crash, I6 a known password
 * opens it, I8 the official program finds no error and restores the same bytes.
 */
export class CrashBed {
  readonly source: string;
  /** A folder with one file that takes several packs. */
  readonly large: string;
  /** What standard input brings. */
  readonly stream: Uint8Array = pseudoRandom(fileSizeBytes, 4);
  /** A repository without snapshots. */
  readonly empty: string;
  /** A repository with one snapshot of the folder as it was first. */
  readonly pristine: string;
  /** A repository with a second snapshot, of the folder as it is now. */
  readonly full: string;
  readonly #scratch: Scratch;
  /** What snapshots of a path may hold. */
  readonly #known = new Map<string, Manifest[]>();

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.source = scratch.fresh('source');
    this.large = scratch.fresh('large');
    this.empty = scratch.fresh('empty');
    this.pristine = scratch.fresh('pristine');
    this.full = scratch.fresh('full');
  }

  /** Makes the folders and the repositories; then changes the folder, for another snapshot. */
  async prepare(): Promise<void> {
    this.#makeSource();
    mkdirSync(this.large);
    writeFileSync(join(this.large, 'file'), pseudoRandom(9_000_000, 3));
    this.#learn(this.large);
    await initRepository(this.empty);
    cpSync(this.empty, this.pristine, { recursive: true });
    this.#learn(this.source);
    await backUp(this.pristine, [this.source], { environment });
    writeFileSync(join(this.source, 'text'), 'some other text\n');
    writeFileSync(join(this.source, 'sub/more'), pseudoRandom(50_000, 2));
    this.#learn(this.source);
    cpSync(this.pristine, this.full, { recursive: true });
    await backUp(this.full, [this.source], { environment });
  }

  copyOf(repository: string): string {
    const copy = this.#scratch.fresh('repository');
    cpSync(repository, copy, { recursive: true });
    return copy;
  }

  fresh(name: string): string {
    return this.#scratch.fresh(name);
  }

  remove(place: string): void {
    this.#scratch.remove(place);
  }

  /** Ids of the key files. */
  keysOf(repository: string): string[] {
    return namesIn(repository, 'keys');
  }

  /** Throws if a state breaks an invariant. */
  async examine(repository: string, expected: Expectation): Promise<void> {
    const { snapshots, withRestic = false, password: given = password } = expected;
    // I6.
    const opened = await openWith(repository, given);
    if (!opened) throw new Error(`I6: password ${given} does not open the repository`);
    try {
      await expectSound(opened);
      const found = await this.#restoreAll(opened, expected);
      const { length } = found.snapshots;
      if (!snapshots.includes(length)) throw new Error(`I1, I2: there are ${length} snapshots`);
      if (!withRestic || !findPeer('restic')) return;
      const ask = (): Promise<void> => this.#askRestic(repository, found.snapshots, expected);
      if (withRestic === true) await ask();
      else await withRestic.once([given, ...found.holdings, shapeOf(repository)].join('\n'), ask);
    } finally {
      await opened.close();
    }
  }

  /** Throws unless one of the passwords opens the repository (I6). @returns those that do */
  async passwordsOf(repository: string): Promise<string[]> {
    const opening: string[] = [];
    for (const each of [password, newPassword]) {
      const opened = await openWith(repository, each);
      if (opened) opening.push(each);
      await opened?.close();
    }
    if (opening.length === 0) throw new Error('I6: no password opens the repository any more');
    return opening;
  }

  #makeSource(): void {
    const { source } = this;
    mkdirSync(join(source, 'sub/empty'), { recursive: true });
    writeFileSync(join(source, 'text'), 'some text\n');
    writeFileSync(join(source, 'sub/bytes'), pseudoRandom(fileSizeBytes, 1));
    linkSync(join(source, 'sub/bytes'), join(source, 'same bytes'));
    symlinkSync('text', join(source, 'link'));
    chmodSync(join(source, 'text'), 0o640);
    utimesSync(join(source, 'text'), 1_000_000.25, 1_000_000.25);
  }

  #learn(folder: string): void {
    this.#known.set(folder, [...(this.#known.get(folder) ?? []), manifestOf(folder)]);
  }

  /**
   * What can be restored of a repository that is damaged, over all snapshots: `name hash` of each file. Throws if a file
   * comes back with bytes that it never had.
   */
  async salvaged(repository: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const opened = await openWith(repository, password);
    if (!opened) throw new Error('I6: the password does not open the repository');
    try {
      const snapshots = await loadSnapshots(opened, { onUnreadable: () => {} });
      const index = await loadIndex(opened, { onProblem: () => {} });
      const indexed = new IndexedRepository(opened, index);
      for (const snapshot of snapshots) {
        for (const file of await this.#salvageOne(indexed, snapshot)) found.add(file);
      }
    } finally {
      await opened.close();
    }
    return found;
  }

  async #salvageOne(indexed: IndexedRepository, snapshot: StoredSnapshot): Promise<string[]> {
    const target = this.#scratch.fresh('target');
    const options = { overwrite: 'always', workerCount: 1, subfolder: this.source } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    try {
      await restore(indexed, request, { environment, monitor: deaf });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
    }
    const files = existsSync(target) ? manifestOf(target) : new Map<string, string>();
    this.#scratch.remove(target);
    const known = (this.#known.get(this.source) ?? []).map(hashesOf);
    const right = new Set(known.flatMap((hashes) => [...hashes]));
    const found = [...hashesOf(files)].filter((file) => !file.startsWith(markPath));
    const wrong = found.filter((file) => !right.has(file));
    // Of a repaired snapshot what is lost is empty: it remembers the one that it was made from.
    const isTold = snapshot.original !== undefined;
    const unexpected = wrong.filter((file) => !isTold || !file.endsWith(emptyHash));
    if (unexpected.length > 0) throw new Error(`I3: wrong bytes: ${unexpected.join('\n')}`);
    return found.filter((file) => right.has(file));
  }

  /** What the folder held at each backup. */
  get wholes(): readonly Manifest[] {
    return this.#known.get(this.source) ?? [];
  }

  /** Restores every snapshot; each must be whole, and one of those that were made. */
  async #restoreAll(repository: Repository, expected: Expectation): Promise<Found> {
    const snapshots = await loadSnapshots(repository);
    const holdings: string[] = [];
    const indexed = new IndexedRepository(repository, await loadIndex(repository));
    for (const snapshot of snapshots) {
      const [path = ''] = snapshot.paths;
      const part = expected.allowsPartial ? {} : this.#partOf(path);
      const target = await this.#restoreOne(indexed, snapshot, part);
      holdings.push(`${path} ${digestOf(target)}`);
      if (expected.allowsPartial) this.#scratch.remove(target);
      else this.#expectKnown(path, target, expected);
    }
    return { snapshots, holdings };
  }

  /** @returns the folder that it was restored to */
  async #restoreOne(
    indexed: IndexedRepository,
    snapshot: StoredSnapshot,
    part: { readonly subfolder?: string },
  ): Promise<string> {
    const target = this.#scratch.fresh('target');
    const problems: string[] = [];
    const monitor = {
      problem: ({ error }: { error: unknown }) => problems.push(describeError(error)),
      note: () => {},
      progress: () => {},
    };
    const options = { overwrite: 'always', workerCount: 1, ...part } as const;
    const request = { snapshot, target: Buffer.from(target), options };
    await restore(indexed, request, { environment, monitor });
    if (problems.length > 0) throw new Error(`I1: snapshot ${snapshot.id}: ${problems.join('\n')}`);
    return target;
  }

  /** What of a snapshot is restored: the folder, or all there is of a stream. */
  #partOf(path: string): { readonly subfolder?: string } {
    return this.#known.has(path) ? { subfolder: path } : {};
  }

  #expectKnown(path: string, target: string, { holds }: Expectation): void {
    const known = path === this.source ? (holds ?? this.wholes) : this.#known.get(path);
    const isRight = known
      ? known.some((manifest) => equalManifests(manifest, manifestOf(target)))
      : readFileSync(join(target, path)).equals(this.stream);
    if (!isRight) throw new Error(`I1, I2: a snapshot of ${path} does not hold what was backed up`);
    this.#scratch.remove(target);
  }

  /** I8: the official program must find no error, and restore the same bytes. */
  async #askRestic(
    repository: string,
    snapshots: readonly StoredSnapshot[],
    expected: Expectation,
  ): Promise<void> {
    const settings = { password: expected.password ?? password };
    await mustRestic(repository, ['check', '--read-data', '--no-lock'], settings);
    for (const { id, paths } of snapshots) {
      const [path = ''] = paths;
      const target = this.#scratch.fresh('target');
      const what = expected.allowsPartial || !this.#known.has(path) ? id : `${id}:${path}`;
      await mustRestic(repository, ['restore', what, '--no-lock', '--target', target], settings);
      if (expected.allowsPartial) this.#scratch.remove(target);
      else this.#expectKnown(path, target, expected);
    }
  }
}

const deaf = { problem: () => {}, note: () => {}, progress: () => {} };

const emptyHash = createHash('sha256').digest('hex');

/** What a restore leaves that was ended by an error. */
const markPath = `/${Buffer.from(markName).toString()} `;

/** Of the names and bytes of all files. */
function digestOf(folder: string): string {
  const files = [...hashesOf(manifestOf(folder))].toSorted().join('\n');
  return createHash('sha256').update(files).digest('hex');
}

/** `name hash` of each file. */
function hashesOf(manifest: Manifest): Set<string> {
  const found = new Set<string>();
  for (const [name, text] of manifest) {
    const hash = / ([0-9a-f]{64})$/.exec(text)?.[1];
    if (hash !== undefined) found.add(`${name} ${hash}`);
  }
  return found;
}

/** Opens a repository; undefined if the password does not. */
async function openWith(repository: string, given: string): Promise<Repository | undefined> {
  const backend = await openBackend(repository, { environment });
  try {
    return await openRepository(backend, { environment, password: Buffer.from(given) });
  } catch (error) {
    if (!isHoldfastError(error, 'PASSWORD_WRONG')) throw error;
    return undefined;
  }
}

/** I4a: whatever a crash left, check finds no damage in it. */
async function expectSound(repository: Repository): Promise<void> {
  const problems: string[] = [];
  const monitor = {
    problem: ({ error }: { error: unknown }) => problems.push(describeError(error)),
    note: () => {},
    progress: () => {},
    phase: () => {},
  };
  const { errors } = await check(
    repository,
    { readData: { kind: 'all' } },
    { environment, monitor },
  );
  const all = [...errors, ...problems];
  if (all.length > 0) throw new Error(`I4a: check finds damage: ${all.join('\n')}`);
}

/** Names of the files of a repository in one of its folders, without those that are being written. */
export function namesIn(repository: string, folder: string): string[] {
  return readdirSync(join(repository, folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}
