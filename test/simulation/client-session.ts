import type { Monitor, Problem } from '../../src/base/monitor.ts';
import { damageIfHeld } from '../../src/engine/damage-if-held.ts';
import { describeError, HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { type LoadedIndex, loadIndexFiles } from '../../src/repository/index-load.ts';
import { acquireLock, type HeldLock, type LockKind } from '../../src/repository/locks.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import type { Backend } from '../../src/storage/backend.ts';
import type { Holder } from './exclusion.ts';
import type { Keyring } from './keyring.ts';
import type { Reached } from './reach.ts';
import { limit } from '../../src/storage/limit.ts';
import { retry } from '../../src/storage/retry.ts';
import { SimulatedBackend } from './simulated-backend.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { Place, World } from './world.ts';

/** Small, so that a backup makes several packs. */
export const packSizeBytes = 6 << 10;

/** What an operation of Holdfast works with: as a session of the command line. */
export interface ClientSession {
  readonly repository: Repository;
  readonly lock: HeldLock | undefined;
  readonly monitor: HearingMonitor;
  readonly signal: AbortSignal;
  readonly loadIndex: () => Promise<IndexedRepository>;
  readonly loadWholeIndex: () => Promise<LoadedIndex>;
  /** Takes a second lock for a part of the work. */
  readonly lockPart: (kind: LockKind) => Promise<HeldLock>;
}

/** What a prune says before it removes a pack without changing the index first. */
const sacrificeNote = 'the storage is full: a pack that is not needed goes first, to make room';

/** Hears everything that operations of all kinds tell. */
export class HearingMonitor implements Monitor {
  readonly problems: string[] = [];
  readonly #world: World;
  readonly #process: SimulatedProcess | undefined;

  problem({ item, error }: Problem): void {
    this.problems.push(`${item}: ${describeError(error)}`);
  }

  /** @param process whose storage may be full */
  constructor(world: World, process?: SimulatedProcess) {
    this.#world = world;
    this.#process = process;
  }

  /** Some of what operations say must happen now and then. */
  note(text: string): void {
    if (text.endsWith('stored anew')) this.#world.reach('provenAnew');
    if (text === sacrificeNote) this.#process?.sacrifice();
  }

  phase(): void {}
  progress(): void {}
  counted(): void {}
}

export interface SessionPlan {
  readonly lock: 'none' | LockKind;
  readonly retryMs?: number;
}

/** The way of a process to a repository, with the limits and retries that `storage/open.ts` puts around every store. */
export function openStorage(world: World, process: SimulatedProcess, place: Place): Backend {
  const { queue } = world;
  const reach = (what: Reached): void => world.reach(what);
  const parts = { ...place, queue, caller: process, reach };
  const plain = new SimulatedBackend(parts);
  const backend = world.plant.disguise?.(plain) ?? plain;
  const { environment } = process;
  return retry(limit(backend, { connectionCount: backend.connectionCount }), { environment });
}

/**
 * Opens with the password that is taken for right, or else with another that somebody knows: who changed it may have died
 * before he could tell. At every moment one of them opens the repository.
 */
export async function openWithKnown(
  keyring: Keyring,
  open: (password: Uint8Array) => Promise<Repository>,
): Promise<Repository> {
  for (;;) {
    const { knownCount } = keyring;
    for (const word of keyring.candidates()) {
      try {
        const repository = await open(Buffer.from(word));
        keyring.password = word;
        return repository;
      } catch (error) {
        if (!isHoldfastError(error, 'PASSWORD_WRONG')) throw error;
      }
    }
    // Somebody may have changed it while this one slept between the list of keys and their reading.
    if (keyring.knownCount === knownCount) throw new HoldfastError('PASSWORD_WRONG');
  }
}

/** Opens a repository, locks it, works, and lets go of it: in the order of the command line's session. */
export async function withClientSession<T>(
  world: World,
  to: { readonly process: SimulatedProcess; readonly place: Place; readonly plan: SessionPlan },
  work: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const { process, place, plan } = to;
  const { environment } = process;
  const monitor = new HearingMonitor(world, process);
  const { signal: killed } = process;
  const repository = await openWithKnown(place.keyring, (password) =>
    openRepository(openStorage(world, process, place), {
      environment,
      password,
      packSizeBytes,
      signal: killed,
    }),
  );
  const { lock: kind, retryMs } = plan;
  const take = async (of: LockKind, beside?: HeldLock): Promise<HeldLock> => {
    const held = await acquireLock(repository, {
      kind: of,
      operation: 'simulation',
      owner: process.owner,
      probe: process.probe,
      beside,
      settleLater: of === 'shared' || of === 'prune',
      signal: process.signal,
      retryMs,
      monitor,
    });
    const release = held.release.bind(held);
    let leave: (() => void) | undefined;
    const enter = (): void => {
      leave = enterExclusion(world, { place, process, kind: of });
    };
    held.settled.then(enter, () => undefined);
    held.release = () => {
      leave?.();
      return release();
    };
    return held;
  };
  const lock = kind === 'none' ? undefined : await take(kind);
  const signal = lock ? AbortSignal.any([process.signal, lock.signal]) : process.signal;
  const loadWholeIndex = (): Promise<LoadedIndex> => loadIndexFiles(repository, { signal });
  try {
    const session: ClientSession = {
      repository,
      lock,
      monitor,
      signal,
      loadWholeIndex,
      loadIndex: async () => {
        const loaded = await loadWholeIndex();
        return new IndexedRepository(repository, loaded.index, loaded);
      },
      lockPart: (of) => take(of, lock),
    };
    return await damageIfHeld(repository, () => work(session));
  } finally {
    await lock?.release();
  }
}

/** Somebody is sure of his lock. @returns what ends that */
export function enterExclusion(world: World, holder: Holder): () => void {
  const { conflict, leave } = world.exclusion.enter(holder);
  if (conflict !== undefined && world.areListingsRight) world.fail(`I14: ${conflict}`);
  return leave;
}
