import { cancelled, throwIfAborted } from '../base/abort.ts';
import type { Environment } from '../base/environment.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Monitor, Problem } from '../base/monitor.ts';
import { damageIfHeld } from '../engine/damage-if-held.ts';
import { coreCount } from '../platform/machine.ts';
import type { Id } from '../repository/id.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import {
  loadIndexFiles,
  type LoadedIndex,
  type LoadIndexOptions,
} from '../repository/index-load.ts';
import { acquireLock, type HeldLock, type LockKind } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import type { Backend } from '../storage/backend.ts';
import { type CacheSettings, SessionCache } from './session-cache.ts';
import { thisOwner, thisProbe } from './this-process.ts';

/** Who works with a repository: a command, a run of an agent. */
export interface SessionHost {
  readonly environment: Environment;
  /** Aborts when the work is cancelled. */
  readonly signal: AbortSignal;
  /** What locks call the work. */
  readonly operation: string;
  /** How long to wait for a lock that somebody else holds; at once without. */
  readonly retryLockMs: number | undefined;
  /** Undefined: no local cache. */
  readonly cache: CacheSettings | undefined;
  /** Hears remarks. */
  tell(text: string): void;
  /** Has `action` done before the process ends without waiting for its work. */
  readonly beforeEnd?: ((action: () => Promise<void>) => void) | undefined;
}

/** How a repository is opened: what a session knows that whoever has the password does not. */
export interface OpeningHints {
  /** As `OpenOptions.isAlone`. */
  readonly isAlone: boolean;
  /** As `OpenOptions.knownKey`. */
  readonly knownKey: Id | undefined;
}

/** Under which lock a repository is used, and what is done meanwhile. */
export interface SessionUse {
  /** `shared` lets others read and write beside it. */
  readonly lock: 'none' | 'shared' | 'prune' | 'exclusive';
  /** Go on before the lock's second look, for who awaits `lock.settled` before telling a result; default: if shared. */
  readonly settleLater?: boolean;
  /** Say that an exclusive lock is made, where restic does. */
  readonly tellsLock?: boolean;
  /** Go on without a lock if there is no room to store one. */
  readonly lockIfRoom?: boolean;
  /** It changes the repository. */
  readonly writes?: boolean;
  /** Default: the host's local cache is used. */
  readonly useCache?: boolean;
  /**
   * Work to do while the key is derived, which takes a quarter of a second on another core: called as soon as the storage is
   * open. If opening fails, that error wins.
   */
  beside?(storage: Backend, opening: Promise<unknown>): Promise<void>;
}

/** Which repository a session opens, and how it is used. */
export interface SessionRequest extends SessionUse {
  readonly monitor: Monitor;
  openStorage(): Promise<Backend>;
  /** Opens the repository with its password. */
  open(storage: Backend, hints: OpeningHints): Promise<Repository>;
}

/** An open repository for the time of one piece of work. */
export interface Session {
  readonly repository: Repository;
  /** Absent without a lock. */
  readonly lock: HeldLock | undefined;
  readonly monitor: Monitor;
  /** Aborts when the work is cancelled or the lock is lost. */
  readonly signal: AbortSignal;
  /**
   * A second lock for a part of the work that needs more, such as the commit of a prune; the first suffers it, and is
   * held on. Release it as soon as that part is done. Waits for other locks as the first did.
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

/**
 * Opens a repository, locks it, lets `work` use it, and always releases and closes what was opened.
 *
 * @throws REPOSITORY_NOT_FOUND, PASSWORD_WRONG, REPOSITORY_LOCKED and what `work` throws
 */
export async function openSession<T>(
  host: SessionHost,
  request: SessionRequest,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const storage = await request.openStorage();
  const cache = new SessionCache(storage, host.cache, host.environment);
  try {
    const useCache = request.useCache ?? true;
    const knownKey = useCache ? await cache.knownKey() : undefined;
    const repository = await openBeside(cache.backend, request, knownKey);
    if (useCache) {
      await cache.attach(repository.config.id);
      if (repository.keyId !== knownKey) await cache.noteKey(repository.keyId);
    }
    const lock = await lockOf(host, repository, request);
    try {
      const counter = new ProblemCounter(request.monitor);
      const session = sessionOf(host, { repository, lock, cache, counter });
      return await damageIfHeld(repository, () => work(session));
    } finally {
      await lock?.release();
    }
  } finally {
    await cache.backend.close();
  }
}

/** The lock of the whole session, if it has one. */
async function lockOf(
  host: SessionHost,
  repository: Repository,
  request: SessionRequest,
): Promise<HeldLock | undefined> {
  const { lock: kind, settleLater = kind === 'shared', tellsLock, writes = false } = request;
  if (kind === 'none') return undefined;
  const { monitor } = request;
  try {
    return await lockFor(host, repository, { kind, settleLater, tellsLock, writes, monitor });
  } catch (error) {
    if (!request.lockIfRoom || !isHoldfastError(error, 'STORAGE_FULL')) throw error;
    monitor.note('there is no room for a lock: going on without one');
    return undefined;
  }
}

async function openBeside(
  storage: Backend,
  request: SessionRequest,
  knownKey: Id | undefined,
): Promise<Repository> {
  const isAlone = request.beside === undefined && coreCount() > 1;
  const opening = request.open(storage, { isAlone, knownKey });
  const beside = request.beside?.(storage, opening);
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

function sessionOf(host: SessionHost, parts: SessionParts): Session {
  const { lock, repository, cache, counter } = parts;
  const signal = lock ? AbortSignal.any([host.signal, lock.signal]) : host.signal;
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
      lockFor(host, repository, { kind, settleLater: false, beside: lock, monitor: counter }),
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

interface LockChoice {
  readonly kind: LockKind;
  readonly settleLater: boolean;
  readonly tellsLock?: boolean | undefined;
  readonly writes?: boolean | undefined;
  readonly beside?: HeldLock | undefined;
  readonly monitor: Monitor;
}

async function lockFor(
  host: SessionHost,
  repository: Repository,
  { kind, settleLater, tellsLock, writes, beside, monitor }: LockChoice,
): Promise<HeldLock> {
  const { signal } = host;
  if (tellsLock && !repository.noLock) host.tell('create exclusive lock for repository');
  const acquiring = acquireLock(repository, {
    kind,
    operation: host.operation,
    owner: thisOwner(),
    probe: thisProbe(),
    beside,
    settleLater,
    writes,
    onlyReads: kind === 'shared' && writes !== true,
    monitor,
    signal,
    retryMs: host.retryLockMs,
  });
  host.beforeEnd?.(async () => {
    repository.addWriteGuard(() => Promise.reject(cancelled(signal)));
    await (await acquiring).release();
  });
  return acquiring;
}
