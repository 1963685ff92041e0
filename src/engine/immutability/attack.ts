import { equalBytes, utf8 } from '../../base/bytes.ts';
import { assert } from '../../base/assert.ts';
import { endsWork, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { randomBelow, randomBytes } from '../../base/random.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions, FileLock, FileVersion } from '../../storage/backend.ts';
import type { EngineContext } from '../context.ts';
import { type FileLockState, type LockingStore, lockingStore } from './file-locks.ts';

/** What an attacker with the same credentials would try. */
export type Attempt = 'overwrite' | 'delete' | 'shorten' | 'bypass';

/** How one attempt ended. */
export interface AttackOutcome {
  /** `canary`, or the id of a pack. */
  readonly target: string;
  readonly attempt: Attempt;
  /** What the storage answered. */
  readonly answer: 'refused' | 'accepted';
  /** Content and lock were the same afterwards, whatever the answer was. */
  readonly isSafe: boolean;
}

/** The canary's lock; it needs no longer one. */
const canaryLockMs = 600_000;
/** What a lock is to be shortened to. */
const shortenedMs = 60_000;

interface Victim {
  readonly target: string;
  readonly version: FileVersion;
  readonly lock: FileLock;
  readonly content: Uint8Array<ArrayBuffer>;
}

/**
 * Attacks the locks with the credentials at hand: a canary that is made for it, then some packs, of which what the canary has not
 * withstood is spared. A pack is read before, and put back should it be lost all the same. Packs are not overwritten: on
 * storage with versions that is always taken, and would only cost room.
 *
 * @param files what may be attacked
 * @param sampleCount how many packs of these
 * @throws UNSUPPORTED for a storage without locks; what the backend throws
 */
export async function attackLocks(
  repository: Repository,
  request: { readonly files: readonly FileLockState[]; readonly sampleCount: number },
  context: EngineContext,
): Promise<AttackOutcome[]> {
  const store = lockingStore(repository.backend);
  const attack = new Attack(store, context);
  const outcomes = await attack.onCanary();
  const withstood = new Set(outcomes.filter(({ isSafe }) => isSafe).map(({ attempt }) => attempt));
  for (const { handle, version, lock } of sampleOf(request, context)) {
    assert(version && lock, 'only locked packs are attacked');
    const content = await repository.backend.get(handle, undefined, { signal: context.signal });
    const stored = await store.versions.get(version, { signal: context.signal });
    if (!equalBytes(content, stored)) continue;
    const victim = { target: handle.name, version, lock, content };
    for (const attempt of ['delete', 'shorten', 'bypass'] as const) {
      if (withstood.has(attempt)) outcomes.push(await attack.on(victim, attempt));
    }
  }
  return outcomes;
}

function sampleOf(
  {
    files,
    sampleCount,
  }: { readonly files: readonly FileLockState[]; readonly sampleCount: number },
  { environment }: EngineContext,
): FileLockState[] {
  const rest = files.filter(
    ({ handle, version, lock, isHidden }) => handle.type === 'pack' && version && lock && !isHidden,
  );
  const sample: FileLockState[] = [];
  while (sample.length < sampleCount && rest.length > 0) {
    sample.push(...rest.splice(randomBelow(environment.random, rest.length), 1));
  }
  return sample;
}

class Attack {
  readonly #store: LockingStore;
  readonly #context: EngineContext;

  constructor(store: LockingStore, context: EngineContext) {
    this.#store = store;
    this.#context = context;
  }

  async onCanary(): Promise<AttackOutcome[]> {
    const { retention, versions } = this.#store;
    const { environment, signal } = this.#context;
    await this.#removeOldCanaries();
    const mark = randomBytes(environment.random, 32);
    const content = Uint8Array.from([...utf8('stored by holdfast, to be attacked\n'), ...mark]);
    const untilMs = Math.ceil((environment.clock.wallMs() + canaryLockMs) / 1000) * 1000;
    const lock: FileLock = { mode: retention.promised?.mode ?? 'governance', untilMs };
    const version = await retention.putCanary(content, lock, { signal });
    const found = await retention.load(version, { signal });
    if (!found) {
      throw new HoldfastError('VERIFY_FAILED', {
        message: 'the storage took a file with a lock, but did not lock it',
        hint: 'Look at Object Lock of the storage: nothing is safe as it is.',
      });
    }
    const victim = { target: 'canary', version, lock: found, content };
    const outcomes: AttackOutcome[] = [];
    for (const attempt of ['overwrite', 'shorten', 'bypass', 'delete'] as const) {
      // What is gone cannot be attacked again.
      if (attempt === 'delete' || (await this.#isThere(victim))) {
        outcomes.push(await this.on(victim, attempt));
      }
    }
    for (const one of await retention.canaries({ signal })) {
      if (one.id !== version.id) await versions.remove(one, { signal }).catch(passOver);
    }
    return outcomes;
  }

  /** Tries one thing, looks what became of it, and undoes it. */
  async on(victim: Victim, attempt: Attempt): Promise<AttackOutcome> {
    const answer = await this.#isAccepted(victim, attempt);
    const { target, lock, version } = victim;
    const { signal } = this.#context;
    const isThere = await this.#isThere(victim);
    const now = isThere ? await this.#store.retention.load(version, { signal }) : undefined;
    const isSafe = now !== undefined && now.mode === lock.mode && now.untilMs >= lock.untilMs;
    if (!isSafe && target !== 'canary') await this.#undo(victim, isThere);
    // The next attempt is to meet a lock again.
    if (!isSafe && isThere && target === 'canary') {
      await this.#store.retention.save(version, lock, { signal });
    }
    return { target, attempt, answer: answer ? 'accepted' : 'refused', isSafe };
  }

  async #isAccepted({ version, lock }: Victim, attempt: Attempt): Promise<boolean> {
    const { retention, versions } = this.#store;
    const { environment, signal } = this.#context;
    const untilMs = environment.clock.wallMs() + shortenedMs;
    const shorter: FileLock = { mode: lock.mode, untilMs: Math.ceil(untilMs / 1000) * 1000 };
    const attempts = {
      overwrite: () => retention.overwriteCanary(utf8('overwritten'), { signal }),
      delete: () => versions.remove(version, { signal }),
      shorten: () => retention.save(version, shorter, { signal }),
      bypass: () => retention.save(version, shorter, { signal, bypass: true }),
    };
    try {
      await attempts[attempt]();
      return true;
    } catch (error) {
      // Stores have many words for no.
      if (endsWork(error) || !isHoldfastError(error) || error.row.retry !== 'never') throw error;
      return false;
    }
  }

  async #isThere({ version, content }: Victim): Promise<boolean> {
    const { signal }: CallOptions = this.#context;
    try {
      return equalBytes(await this.#store.versions.get(version, { signal }), content);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return false;
      throw error;
    }
  }

  async #undo({ version, lock, content }: Victim, isThere: boolean): Promise<void> {
    const { signal } = this.#context;
    if (isThere) await this.#store.retention.save(version, lock, { signal });
    else await this.#store.versions.putBack(version, content, { signal });
  }

  /** Those whose locks have ended; the others are for the next time. */
  async #removeOldCanaries(): Promise<void> {
    const { signal } = this.#context;
    for (const version of await this.#store.retention.canaries({ signal })) {
      await this.#store.versions.remove(version, { signal }).catch(passOver);
    }
  }
}

function passOver(error: unknown): void {
  if (endsWork(error)) throw error;
}
