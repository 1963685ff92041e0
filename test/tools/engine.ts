import type { Problem } from '../../src/base/monitor.ts';
import { describeError, HoldfastError } from '../../src/base/errors.ts';
import { type Environment, systemEnvironment } from '../../src/base/environment.ts';
import type { ScryptParameters } from '../../src/kernels/scrypt.ts';
import type { CompressionMode } from '../../src/kernels/zstd.ts';
import {
  backup,
  type BackupOptions,
  type BackupResult,
  SourceWalk,
} from '../../src/engine/backup.ts';
import { check, type CheckResult, type ReadData } from '../../src/engine/check.ts';
import { restore, type RestoreOptions, type RestoreResult } from '../../src/engine/restore.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { loadIndexFiles } from '../../src/repository/index-load.ts';
import {
  createRepository,
  openRepository,
  type Repository,
} from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshots.ts';
import {
  type FileSourceOptions,
  openFileSource,
} from '../../src/sources/files/open-file-source.ts';
import type { StreamSource } from '../../src/sources/source.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { openBackend } from '../../src/storage/open.ts';
import { clockOfSlowMachine } from './slow-machine.ts';

/** Of every repository of the tests. */
export const password = 'x';

/** A key that costs little to derive: the tests open repositories many times. */
const cheapScrypt = { N: 1024, r: 8, p: 1 } as const;

/** Without threads: for tests of what is stored and found, which start many operations that take less than a thread. */
export const singleThreaded: Environment = { ...systemEnvironment, isSingleThreaded: true };

/** Waits for a moment only. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return systemEnvironment.clock.sleep(ms < 60_000 ? Math.min(ms, 2) : ms, signal);
}

/** As well, and waits for a moment only where the program waits to see whether somebody else is there: nobody is. */
export const hurried: Environment = {
  ...singleThreaded,
  clock: { ...systemEnvironment.clock, sleep },
};

/** As well, for one command that makes a key: it costs little. */
export function cheapKeyed(): Environment {
  return { ...hurried, clock: { ...clockOfSlowMachine(), sleep } };
}

export interface EngineSettings {
  /** Default: that of the system. */
  readonly environment?: Environment;
  readonly compression?: CompressionMode;
  readonly packSizeBytes?: number;
}

/** A backup as the tests look at it. */
export interface TestBackup extends BackupResult {
  /** `path: message`, sorted. */
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  /** As the command line exits: 3 if something is not stored as it was. */
  readonly exitCode: 0 | 3;
}

export interface TestRestore extends RestoreResult {
  readonly complaints: readonly string[];
}

export interface BackupSettings extends EngineSettings {
  readonly options?: Partial<BackupOptions>;
  readonly source?: Partial<FileSourceOptions>;
  readonly signal?: AbortSignal;
}

/** Makes an empty repository. */
export async function initRepository(
  location: string | Backend,
  settings: EngineSettings & {
    readonly version?: 1 | 2;
    /** What opening it costs. */
    readonly scrypt?: ScryptParameters;
  } = {},
): Promise<void> {
  const backend = await backendOf(location);
  const { version = 2, environment = systemEnvironment, scrypt = cheapScrypt } = settings;
  const words = { password: Buffer.from(password), hostname: 'host', username: 'user' };
  const how = { environment, version, scrypt };
  const repository = await createRepository(backend, { ...words, ...how });
  await repository.close();
}

/** Backs up files of this machine. */
export async function backUp(
  location: string | Backend,
  targets: readonly (string | Uint8Array)[],
  settings: BackupSettings = {},
): Promise<TestBackup> {
  const { environment = systemEnvironment } = settings;
  const source = await openFileSource(targets, { environment, ...settings.source });
  return backUpSource(location, new SourceWalk(source, environment.clock), settings);
}

/** Backs up an opened source. */
export async function backUpSource(
  location: string | Backend,
  source: SourceWalk | StreamSource,
  settings: BackupSettings = {},
): Promise<TestBackup> {
  return withRepository(location, settings, async (repository) => {
    const heard = hearing();
    const options: BackupOptions = { ...backupDefaults, ...settings.options };
    const { environment = systemEnvironment } = settings;
    const context = { environment, monitor: heard.monitor, signal: settings.signal };
    const earlier = await loadSnapshots(repository, context);
    const loaded = await loadIndexFiles(repository);
    const indexed = new IndexedRepository(repository, loaded.index, loaded);
    const result = await backup(indexed, source, { options, earlier }, context);
    const exitCode = result.problems.length > 0 ? 3 : 0;
    return { ...result, complaints: heard.complaints(), notes: heard.notes, exitCode };
  });
}

const backupDefaults: BackupOptions = {
  hostname: 'host',
  username: 'user',
  uid: 0,
  gid: 0,
  programVersion: 'holdfast test',
  tags: [],
  groupBy: { host: true, paths: true, tags: false },
  workerCount: 2,
};

/**
 * Restores the newest snapshot, without threads unless told otherwise: to start them takes six times as long as to restore
 * what most tests have.
 */
export async function restoreLatest(
  location: string | Backend,
  target: string | Uint8Array,
  {
    environment = singleThreaded,
    ...options
  }: Partial<RestoreOptions> & Pick<EngineSettings, 'environment'> = {},
): Promise<TestRestore> {
  return withIndex(location, {}, async (indexed) => {
    const snapshot = (await loadSnapshots(indexed.repository)).at(-1);
    if (!snapshot) throw new HoldfastError('SNAPSHOT_NOT_FOUND');
    const heard = hearing();
    const context = { environment, monitor: heard.monitor };
    const request = {
      snapshot,
      target: Buffer.from(target),
      options: { overwrite: 'always', workerCount: 2, ...options },
    } as const;
    const result = await restore(indexed, request, context);
    return { ...result, complaints: heard.complaints() };
  });
}

/** Checks everything, stored bytes included and without threads unless told otherwise. */
export async function checkAll(
  location: string | Backend,
  readData: ReadData | undefined = { kind: 'all' },
  environment: Environment = singleThreaded,
): Promise<CheckResult> {
  return withRepository(location, { environment }, (repository) => {
    const { monitor } = hearing();
    return check(repository, readData ? { readData } : {}, { environment, monitor });
  });
}

/** All snapshots, oldest first. */
export async function listSnapshots(location: string | Backend): Promise<StoredSnapshot[]> {
  return withRepository(location, {}, (repository) => loadSnapshots(repository));
}

/** Does something with an opened repository and its index. */
export async function withIndex<T>(
  location: string | Backend,
  settings: EngineSettings,
  action: (indexed: IndexedRepository) => Promise<T>,
): Promise<T> {
  return withRepository(location, settings, async (repository) => {
    const loaded = await loadIndexFiles(repository);
    return action(new IndexedRepository(repository, loaded.index, loaded));
  });
}

/** Does something with an opened repository. */
export async function withRepository<T>(
  location: string | Backend,
  settings: EngineSettings,
  action: (repository: Repository) => Promise<T>,
): Promise<T> {
  const backend = await backendOf(location);
  const words = { environment: systemEnvironment, password: Buffer.from(password) };
  const repository = await openRepository(backend, { ...words, ...settings });
  try {
    return await action(repository);
  } finally {
    // A backend that the test made is the test's to close.
    if (typeof location === 'string') await repository.close();
  }
}

function backendOf(location: string | Backend): Promise<Backend> | Backend {
  return typeof location === 'string'
    ? openBackend(location, { environment: systemEnvironment })
    : location;
}

/** A monitor that remembers what it hears. */
function hearing(): {
  readonly notes: string[];
  readonly complaints: () => string[];
  readonly monitor: {
    problem(problem: Problem): void;
    note(text: string): void;
    progress(): void;
    phase(): void;
  };
} {
  const problems: string[] = [];
  const notes: string[] = [];
  const monitor = {
    problem: (problem: Problem): void => {
      problems.push(`${problem.item}: ${describeError(problem.error)}`);
    },
    note: (text: string): void => {
      notes.push(text);
    },
    progress: (): void => {},
    phase: (): void => {},
  };
  return { notes, complaints: () => problems.toSorted(), monitor };
}
