import { cancelled, throwIfAborted } from '../base/abort.ts';
import { toHex, utf8 } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Monitor, Problem } from '../base/monitor.ts';
import {
  coreCount,
  currentIds,
  currentUserName,
  hostName,
  processId,
} from '../platform/machine.ts';
import { machineUpSeconds, processStart, thisProcess } from '../platform/process-identity.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { Id } from '../repository/id.ts';
import type { LockOwner } from '../repository/lock-codec.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import {
  loadIndexFiles,
  type LoadedIndex,
  type LoadIndexOptions,
} from '../repository/index-load.ts';
import {
  acquireLock,
  type HeldLock,
  type LockKind,
  type ProcessProbe,
} from '../repository/locks.ts';
import { openRepository, type OpenOptions, type Repository } from '../repository/repository.ts';
import type { Backend } from '../storage/backend.ts';
import { openBackend } from '../storage/open.ts';
import { parseRates, type RateAt } from '../storage/rate-timetable.ts';
import type { TransportSettings } from '../storage/store.ts';
import { damageIfHeld } from '../engine/damage-if-held.ts';
import { SessionCache } from './cache.ts';
import { cliMonitor } from './cli-monitor.ts';
import type { Invocation } from './command.ts';
import { parseExtendedOptions } from './extended-options.ts';
import {
  type PasswordSources,
  passwordToOpen,
  passwordTryCount,
  repositoryPassword,
} from './password.ts';
import { usage } from './parse.ts';
import { repositoryLocation } from './repository-location.ts';

/** Which repository a command opens, under which lock, and what it does meanwhile. */
export interface SessionOptions {
  /** Default: the repository of the command line. */
  readonly choice?: RepositoryChoice;
  /** `shared` lets others read and write beside it. */
  readonly lock: 'none' | 'shared' | 'prune' | 'exclusive';
  /** Go on before the lock's second look, for who awaits `lock.settled` before telling a result; default: if shared. */
  readonly settleLater?: boolean;
  /** Say that an exclusive lock is made, where restic does. */
  readonly tellsLock?: boolean;
  /** Go on without a lock if there is no room to store one. */
  readonly lockIfRoom?: boolean;
  /** It changes the repository: then --no-lock, which is for reading, does not count. */
  readonly writes?: boolean;
  /** Default: the local cache is used unless --no-cache. */
  readonly useCache?: boolean;
  readonly monitor?: Monitor;
  /**
   * Work to do while the key is derived, which takes a quarter of a second on another core: called as soon as the storage is
   * open. If opening fails, that error wins.
   */
  beside?(storage: Backend, opening: Promise<unknown>): Promise<void>;
}

/** An open repository for the time of one command. */
export interface Session {
  readonly repository: Repository;
  /** Absent without a lock. */
  readonly lock: HeldLock | undefined;
  readonly monitor: Monitor;
  /** Aborts when the user interrupts or the lock is lost. */
  readonly signal: AbortSignal;
  /**
   * A second lock for a part of the work that needs more, such as the commit of a prune; the first suffers it, and is
   * held on. Release it as soon as that part is done. Waits for other locks as --retry-lock says.
   * @throws REPOSITORY_LOCKED
   */
  lockPart(kind: LockKind): Promise<HeldLock>;
  /** Loads the index; list snapshots before, so that all they refer to is in it. */
  loadIndex(): Promise<IndexedRepository>;
  /** As `loadIndex`, for who must know all of it. @throws for the first index file that cannot be used */
  loadWholeIndex(): Promise<LoadedIndex>;
  /** What a command that only reports problems returns: 1 if there were any. */
  exitCode(): number;
}

/** The parts of a location that a command line gives. */
export interface RepositoryChoice {
  readonly location: string;
  readonly password: PasswordSources;
  readonly keyHint: string | undefined;
  /** How a prompt calls it. */
  readonly name?: string;
  /** As `SessionOptions.writes`. */
  readonly writes?: boolean;
  /** As `OpenOptions.isAlone`. */
  readonly isAlone?: boolean;
  /** As `OpenOptions.knownKey`. */
  readonly knownKey?: Id | undefined;
}

/**
 * Opens the repository of the command line, locks it, lets `work` use it, and always releases and closes what was opened.
 *
 * @throws USAGE, REPOSITORY_NOT_FOUND, PASSWORD_WRONG, REPOSITORY_LOCKED and what `work` throws
 */
export async function withSession<T>(
  invocation: Invocation,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { globals, output } = invocation;
  const monitor = options.monitor ?? cliMonitor(output);
  const choice = {
    ...(options.choice ?? {
      location: repositoryLocation(invocation),
      password: repositoryPassword(invocation),
      keyHint: globals.keyHint,
    }),
    writes: options.writes ?? false,
  };
  const storage = await openStorage(invocation, choice.location, monitor);
  const cache = new SessionCache(storage, invocation);
  try {
    const useCache = options.useCache ?? true;
    const knownKey = useCache ? await cache.knownKey() : undefined;
    const how = { choice: { ...choice, knownKey }, options };
    const repository = await openBeside(invocation, cache.backend, how);
    if (useCache) {
      await cache.attach(repository.config.id);
      if (repository.keyId !== knownKey) await cache.noteKey(repository.keyId);
    }
    const { lock: kind, settleLater = kind === 'shared' } = options;
    const { tellsLock, writes } = options;
    const lockOptions = { settleLater, tellsLock, writes, monitor };
    const lock =
      kind === 'none'
        ? undefined
        : await lockFor(invocation, repository, { kind, ...lockOptions }).catch(
            (error: unknown) => {
              if (!options.lockIfRoom || !isHoldfastError(error, 'STORAGE_FULL')) throw error;
              monitor.note('there is no room for a lock: going on without one');
              return undefined;
            },
          );
    try {
      const counter = new ProblemCounter(monitor);
      const session = sessionOf(invocation, { repository, lock, cache, counter });
      return await damageIfHeld(repository, () => work(session));
    } finally {
      await lock?.release();
    }
  } finally {
    await cache.backend.close();
  }
}

async function openBeside(
  invocation: Invocation,
  storage: Backend,
  how: { readonly choice: RepositoryChoice; readonly options: SessionOptions },
): Promise<Repository> {
  const opening = openWithTries(invocation, storage, {
    ...how.choice,
    isAlone: how.options.beside === undefined && coreCount() > 1,
  });
  const beside = how.options.beside?.(storage, opening);
  // Both are awaited below, one after the other; the second must not fail unheard meanwhile.
  beside?.catch(() => undefined);
  const repository = await opening;
  await beside;
  return repository;
}

interface SessionParts {
  readonly repository: Repository;
  readonly lock: HeldLock | undefined;
  readonly cache: SessionCache;
  readonly counter: ProblemCounter;
}

function sessionOf(invocation: Invocation, parts: SessionParts): Session {
  const { lock, repository, cache, counter } = parts;
  const signal = lock ? AbortSignal.any([invocation.signal, lock.signal]) : invocation.signal;
  const onProblem = (error: unknown): void => {
    counter.problem({ item: '', during: 'scan', error });
  };
  const fromCache = (): Pick<LoadIndexOptions, 'cache' | 'onCacheProblem'> => {
    const store = cache.indexStore;
    return store ? { cache: store, onCacheProblem: (error) => cache.warn(error) } : {};
  };
  return {
    repository,
    lock,
    monitor: counter,
    signal,
    async loadWholeIndex() {
      throwIfAborted(signal);
      const loaded = await loadIndexFiles(repository, { signal, ...fromCache() });
      await cache.retainPacks(loaded.index);
      return loaded;
    },
    lockPart: (kind) =>
      lockFor(invocation, repository, { kind, settleLater: false, beside: lock, monitor: counter }),
    exitCode: () => (counter.problemCount > 0 ? 1 : 0),
    async loadIndex() {
      throwIfAborted(signal);
      const loaded = await loadIndexFiles(repository, { signal, onProblem, ...fromCache() });
      await cache.retainPacks(loaded.index);
      return new IndexedRepository(repository, loaded.index, loaded);
    },
  };
}

/** Passes on what it hears and counts problems, for the exit code. */
class ProblemCounter implements Monitor {
  problemCount = 0;
  readonly #inner: Monitor;

  constructor(inner: Monitor) {
    this.#inner = inner;
  }

  problem(problem: Problem): void {
    this.problemCount++;
    this.#inner.problem(problem);
  }

  note(text: string): void {
    this.#inner.note(text);
  }
}

/** @throws USAGE */
function ratesOf(flag: string, text: string | undefined): RateAt | undefined {
  if (text === undefined) return undefined;
  const rates = parseRates(text);
  if (rates) return rates;
  throw usage(
    `invalid value for ${flag} "${text}": neither a rate nor a timetable`,
    'A rate is in KiB/s (512), or has a unit (2M); a timetable is such as "08:00,512 19:00,10M 23:00,off", with days "Mon-08:00,512 Fri-18:00,off".',
  );
}

/** Opens the storage with the limits of the command line. */
export function openStorage(
  {
    globals,
    environment,
    signal,
    variables,
  }: Pick<Invocation, 'globals' | 'environment' | 'signal' | 'variables'>,
  location: string,
  monitor: Monitor,
): Promise<Backend> {
  return openBackend(location, {
    environment,
    signal,
    monitor,
    extended: parseExtendedOptions(globals.options),
    transport: transportSettings(globals),
    variables: variables.all,
    uploadLimit: ratesOf('--limit-upload', globals.uploadLimit),
    downloadLimit: ratesOf('--limit-download', globals.downloadLimit),
  });
}

function transportSettings(globals: Invocation['globals']): TransportSettings {
  const { caCertificates, tlsClientCertificate, stuckRequestTimeout, httpUserAgent } = globals;
  return {
    ...(caCertificates && { caCertificateFiles: caCertificates }),
    ...(tlsClientCertificate !== undefined && { clientCertificateFile: tlsClientCertificate }),
    isTlsInsecure: globals.insecureTls,
    ...(stuckRequestTimeout !== undefined && { stuckRequestMs: stuckRequestTimeout }),
    ...(httpUserAgent !== undefined && { userAgent: httpUserAgent }),
  };
}

/** Opens a repository; a person may type the password three times. */
export async function openWithTries(
  invocation: Invocation,
  backend: Backend,
  choice: RepositoryChoice,
): Promise<Repository> {
  let isTyped = false;
  const options: OpenOptions = {
    ...formatOptions(invocation),
    noLock: invocation.globals.noLock && !choice.writes,
    isAlone: choice.isAlone,
    knownKey: choice.knownKey,
    ...(choice.keyHint === undefined ? {} : { keyHint: choice.keyHint }),
    password: async () => {
      const given = await passwordToOpen(invocation, choice.password, choice.name);
      isTyped = given.isTyped;
      return given.password;
    },
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await openRepository(backend, options);
    } catch (error) {
      const mayTryAgain = isTyped && attempt < passwordTryCount;
      if (!isHoldfastError(error, 'PASSWORD_WRONG') || !mayTryAgain) throw error;
      invocation.output.errorLine('wrong password, try again');
    }
  }
}

/** What the command line says about how a repository is used. */
export function formatOptions(invocation: Invocation): Omit<OpenOptions, 'password' | 'keyHint'> {
  const { globals, environment, signal } = invocation;
  const { packSizeMiB = 0 } = globals;
  return {
    environment,
    signal,
    ...(globals.compression === undefined ? {} : { compression: globals.compression }),
    ...(packSizeMiB === 0 ? {} : { packSizeBytes: packSizeMiB * 1024 * 1024 }),
  };
}

/** Who holds locks and makes keys: this process. */
export function thisOwner(): LockOwner {
  return {
    hostname: hostName(),
    username: currentUserName(),
    pid: processId,
    ...currentIds(),
  };
}

/** What this machine can tell of the processes behind locks. */
export function thisProbe(): ProcessProbe {
  const { machine, ...identity } = thisProcess();
  // Programs should not show the machine's id itself to others, says machine-id(5).
  const mark = machine && toHex(sha256(utf8(`holdfast lock ${machine}`))).slice(0, 32);
  return {
    hostname: hostName(),
    identity: { ...identity, machine: mark },
    processStart,
    machineUpSeconds,
  };
}

interface LockChoice {
  readonly kind: LockKind;
  readonly settleLater: boolean;
  readonly tellsLock?: boolean | undefined;
  readonly writes?: boolean | undefined;
  readonly beside?: HeldLock | undefined;
  readonly monitor: Monitor;
}

async function lockFor(
  invocation: Invocation,
  repository: Repository,
  { kind, settleLater, tellsLock, writes, beside, monitor }: LockChoice,
): Promise<HeldLock> {
  const { output, command, signal, globals } = invocation;
  if (tellsLock && !repository.noLock) output.info('create exclusive lock for repository');
  const acquiring = acquireLock(repository, {
    kind,
    operation: command,
    owner: thisOwner(),
    probe: thisProbe(),
    beside,
    settleLater,
    writes,
    onlyReads: kind === 'shared' && writes !== true,
    monitor,
    signal,
    retryMs: globals.retryLock,
  });
  invocation.beforeEnd?.(async () => {
    repository.addWriteGuard(() => Promise.reject(cancelled(signal)));
    await (await acquiring).release();
  });
  return acquiring;
}
