import { check } from '../../src/engine/check.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/engine/repair-index.ts';
import { repairPacks } from '../../src/engine/repair-packs.ts';
import { repairSnapshots } from '../../src/engine/repair-snapshots.ts';
import { loadSnapshot, loadSnapshots } from '../../src/repository/snapshots.ts';
import { isHoldfastError } from '../../src/base/errors.ts';
import { mayFindDamage } from './excuses.ts';
import { type Actor, session } from './operations.ts';
import type { ClientSession } from './client-session.ts';

/**
 * What somebody does whose check found something: removes snapshot files that cannot be read, has the index, then the
 * packs that are named, and then the snapshots repaired. Does the same without damage, when it must change nothing.
 */
export async function runMend(actor: Actor): Promise<string> {
  return mend(actor, actor.world.random.oneIn(2));
}

/** As `runMend`, and no snapshot stays of which something is lost. */
export async function runMendWhole(actor: Actor): Promise<string> {
  return mend(actor, true);
}

async function mend(actor: Actor, forget: boolean): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async (opened) => {
    const { repository, lock, signal, monitor } = opened;
    await lock?.settled;
    const { store } = actor.place;
    const { damageCount } = store;
    await removeUnreadable(opened);
    const context = { environment: process.environment, monitor, signal };
    const plan = await planIndexRepair(repository, { readAllPacks: true }, context);
    await executeIndexRepair(repository, plan, context);
    const { brokenPacks } = await check(repository, { readData: { kind: 'all' } }, context);
    const whole = world.random.pick([...store.namesOf('pack'), ...brokenPacks, '']);
    const packs = [...new Set([...brokenPacks, ...(whole === '' ? [] : [whole])])];
    const request = { packs, sources: {}, lock, keep };
    const result = await repairPacks(repository, request, context);
    if (result.healedPacks.length > 0) world.reach('rotHealed');
    const snapshots = await loadSnapshots(repository, { signal });
    const listener = { started: ignore, loss: ignore, ended: ignore };
    const how = { snapshots, existing: snapshots, sources: {}, lock, forget, dryRun: false };
    const repaired = await repairSnapshots(repository, { ...how, listener }, context);
    if (repaired.modifiedCount > 0) world.reach('rotRepaired');
    const isChanged = repaired.modifiedCount > 0;
    const ended = { command: 'mend', met: process.met, places: [actor.place] };
    if (isChanged && !mayFindDamage(ended) && process.time.isAlive) {
      world.fail('I5: a repair changed what is sound');
    }
    if (forget && process.time.isAlive && store.damageCount === damageCount) {
      store.mended();
      for (const other of world.living.values()) if (other !== process) other.meet('mended');
    }
    return isChanged ? 'mended' : 'nothing to mend';
  });
}

/** Times that somebody looks before he removes a snapshot. */
const readTriesMax = 3;

function ignore(): void {}

async function keep(id: string): Promise<string> {
  return `kept ${id}`;
}

/** Snapshots that cannot be read are of no more use to anybody; nothing but their removal lets others go on. */
async function removeUnreadable({ repository, lock, signal }: ClientSession): Promise<void> {
  for await (const { name } of repository.backend.list('snapshot', { signal })) {
    if (await canBeRead(repository, name, signal)) continue;
    lock?.assertHeld();
    await repository.removeUnpacked('snapshot', name, { signal });
  }
}

/** Whether a snapshot can be read in one of several tries: storage may give wrong bytes for a while. */
async function canBeRead(
  repository: ClientSession['repository'],
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (let tries = 0; tries < readTriesMax; tries++) {
    try {
      await loadSnapshot(repository, name, { signal });
      return true;
    } catch (error) {
      if (!isHoldfastError(error, 'SNAPSHOT_DAMAGED', 'UNPACKED_DAMAGED')) throw error;
    }
  }
  return false;
}
