import { isHoldfastError } from '../../src/base/errors.ts';
import { planSoundForget, removeSnapshots } from '../../src/engine/forget.ts';
import { upgradeToVersion2 } from '../../src/engine/migrate.ts';
import { updateParity } from '../../src/engine/parity.ts';
import { executePrune, planPrune } from '../../src/engine/prune.ts';
import { isKept } from '../../src/engine/retention/decide.ts';
import type { RetentionPolicy } from '../../src/engine/retention/policy.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import { loadIndexFiles } from '../../src/repository/index-load.ts';
import { addKey, changePassword, listKeys, removeKey } from '../../src/repository/keys.ts';
import { removeStaleLocks } from '../../src/repository/locks.ts';
import { loadSnapshots } from '../../src/repository/snapshots.ts';
import { type Actor, cheapScrypt, session } from './operations.ts';

const noSpan = { years: 0, months: 0, days: 0, hours: 0 };

function keepLast(last: number): RetentionPolicy {
  return {
    last,
    counts: { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 },
    within: noSpan,
    withinPeriods: {
      hourly: noSpan,
      daily: noSpan,
      weekly: noSpan,
      monthly: noSpan,
      yearly: noSpan,
    },
    tags: [],
  };
}

/** Of packs that are repacked for their size: a few of those that a backup ends with. */
const smallPackBytes = 1_000;

/** Removes old snapshots by a policy. */
export async function runForget(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'exclusive', async ({ repository, signal, monitor }) => {
    const { environment } = process;
    const context = { environment, monitor, signal };
    const snapshots = await loadSnapshots(repository, { signal });
    const request = {
      policy: keepLast(world.random.oneIn(3) ? 2 : 1),
      groupBy: { host: true, paths: true, tags: false },
      allowRemoveAll: false,
      loadIndex: async () => {
        // As the command line: what cannot be read of the index keeps nobody from forgetting.
        const loaded = await loadIndexFiles(repository, { signal, onProblem: () => undefined });
        return new IndexedRepository(repository, loaded.index, loaded);
      },
    };
    const groups = await planSoundForget(snapshots, request, context);
    const decisions = groups.flatMap((group) => group.decisions);
    const ids = decisions.filter((each) => !isKept(each)).map(({ snapshot }) => snapshot.id);
    for (const id of ids) place.oracle.mayVanish(id);
    const { failed } = await removeSnapshots(repository, ids, context);
    return failed.length > 0 ? 'failed' : 'forgot';
  });
}

/** Marks what nobody needs, and deletes what was marked a day ago. */
export function runPrune(actor: Actor): Promise<string> {
  return prune(actor, false);
}

/** Prunes, and once more soon after, as one does who does not believe that it did something. */
export async function runPruneTwice(actor: Actor): Promise<string> {
  await prune(actor, false);
  return prune(actor, false);
}

/** Deletes what nobody needs, alone with the repository. */
export function runInstantPrune(actor: Actor): Promise<string> {
  return prune(actor, true);
}

async function prune(actor: Actor, instant: boolean): Promise<string> {
  const { process, world, place } = actor;
  return session(actor, instant ? 'exclusive' : 'prune', async (opened) => {
    const { repository, lock, signal, monitor } = opened;
    const context = { environment: process.environment, monitor, signal };
    const source = { repository, loadIndex: opened.loadWholeIndex };
    const policy = {
      maxUnused: { kind: 'percent', percent: world.random.pick([0, 5, 50]) },
      // All packs here are what is small elsewhere.
      ...(world.random.oneIn(4) ? {} : { repackSmallerThanBytes: smallPackBytes }),
    } as const;
    const { keepDeleteMs } = world;
    const plan = await planPrune(source, { policy, instant, keepDeleteMs }, context);
    await lock?.settled;
    const commit = (): ReturnType<typeof opened.lockPart> => opened.lockPart('commit');
    const packCount = place.store.namesOf('pack').length;
    const locks = { lock, commit, probe: process.probe };
    const { deleted, marked, blockedBy } = await executePrune(plan, locks, context);
    if (plan.packs.repack.length > 0) world.reach('repacked');
    if (instant && place.store.namesOf('pack').length < packCount) world.reach('instantDeleted');
    if (marked.length > 0) world.reach('marked');
    if (deleted.length > 0) world.reach(world.isCalm ? 'cleaned' : 'deleted');
    if (deleted.length > 0 && world.running.size > 1) world.reach('deletedBeside');
    world.note(`${process.name} deleted ${deleted.length} packs, marked ${marked.length}`);
    if (blockedBy !== undefined) {
      world.reach('commitBlocked');
      return 'blocked';
    }
    return deleted.length > 0 ? 'deleted' : 'marked';
  });
}

/** Removes the locks of who is gone. */
export async function runUnlock(actor: Actor): Promise<string> {
  return session(actor, 'none', async ({ repository, signal }) => {
    const { process } = actor;
    const how = { all: false, probe: process.probe, signal };
    const count = await removeStaleLocks(repository, how);
    return count > 0 ? 'removed locks' : 'nothing to remove';
  });
}

/** Gives the repository another password. The old one is good until the new one is known to be. */
export async function runPasswd(actor: Actor): Promise<string> {
  const { process, place } = actor;
  const password = `password ${process.pid}`;
  return session(actor, 'exclusive', async ({ repository, signal }) => {
    place.keyring.learn(password);
    const words = { hostname: process.machine.name, username: 'user', scrypt: cheapScrypt };
    await changePassword(repository, { ...words, password: Buffer.from(password), signal });
    if (process.time.isAlive) place.keyring.password = password;
    return 'changed';
  });
}

export async function runKeyAdd(actor: Actor): Promise<string> {
  const { process, place } = actor;
  const password = `password ${process.pid}`;
  return session(actor, 'shared', async ({ repository, signal, lock }) => {
    await lock?.settled;
    place.keyring.learn(password);
    const words = { hostname: process.machine.name, username: 'user', scrypt: cheapScrypt };
    await addKey(repository, { ...words, password: Buffer.from(password), signal });
    return 'added';
  });
}

/** Removes one of the keys that others use. */
export async function runKeyRemove(actor: Actor): Promise<string> {
  const { world } = actor;
  return session(actor, 'exclusive', async ({ repository, signal }) => {
    const { keys } = await listKeys(repository, { signal });
    const others = keys.filter(({ isCurrent }) => !isCurrent);
    if (others.length === 0) return 'no other';
    try {
      await removeKey(repository, world.random.pick(others).id, { signal });
    } catch (error) {
      // Somebody gave the repository another password while this one waited for the lock: it is refused, as it must.
      if (isHoldfastError(error, 'KEY_DAMAGED')) return 'own key is gone';
      throw error;
    }
    world.reach('keyRemoved');
    return 'removed';
  });
}

async function saveCopy(): Promise<void> {}

export async function runMigrate(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, signal, monitor }) => {
    if (repository.config.version !== 1) return 'new already';
    const { environment } = process;
    await upgradeToVersion2(repository, { saveCopy }, { environment, monitor, signal });
    world.reach('migrated');
    return 'migrated';
  });
}

/** Gives packs parity, more or less of it, or none. */
export async function runParity(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'shared', async ({ repository, lock, signal, monitor }) => {
    const { environment } = process;
    await lock?.settled;
    const percent = world.random.pick([0, 10, 50]);
    const update = await updateParity(repository, percent, { environment, monitor, signal });
    if (update.madeCount > 0) world.reach('parityMade');
    return percent > 0 ? 'made' : 'removed';
  });
}
