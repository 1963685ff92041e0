import { basename } from 'node:path';
import { copySnapshots } from '../../src/engine/copy.ts';
import { recover } from '../../src/engine/recover.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/engine/repair-index.ts';
import { rewriteSnapshots } from '../../src/engine/rewrite.ts';
import { tagSnapshots } from '../../src/engine/tag.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { HearingMonitor } from './client-session.ts';
import { mayFindDamage } from './excuses.ts';
import { type Actor, session } from './operations.ts';
import { attemptNumberOf, recoveredVersion } from './oracle.ts';
import type { Place } from './world.ts';

/** Changes tags of some snapshots. */
export async function runTag(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor, loadIndex }) => {
    const snapshots = await loadSnapshots(repository, { signal });
    const chosen = snapshots.filter(() => world.random.oneIn(4));
    const change = { kind: 'set', tags: [`tag${world.random.below(5)}`] } as const;
    const onChange = ({ newId }: { readonly newId: string }): void => {
      if (process.time.isAlive) place.oracle.reportedStored(newId);
    };
    const request = { change, lock, onChange, loadIndex };
    const { environment } = process;
    const count = await tagSnapshots(repository, chosen, request, { environment, monitor, signal });
    if (count > 0) world.reach('tagged');
    return 'tagged';
  });
}

/** Takes files of one name out of some snapshots. */
export async function runRewrite(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  const forget = world.random.oneIn(2);
  const names = [...world.attempts.values()].flatMap(({ tree }) => [...tree.keys()]);
  const name = basename(names.length > 0 ? world.random.pick(names) : 'f1');
  const select = (path: Uint8Array): { selected: boolean; mayHoldSelected: boolean } => {
    const selected = !Buffer.from(path).toString().endsWith(`/${name}`);
    return { selected, mayHoldSelected: selected };
  };
  return session(actor, forget ? 'exclusive' : 'shared', async (opened) => {
    const { repository, lock, signal, loadIndex } = opened;
    const all = await loadSnapshots(repository, { signal });
    const snapshots = all.filter(() => world.random.oneIn(3));
    const indexed = await loadIndex();
    // By what they say, not by what is there: somebody may have removed them since.
    for (const { programVersion = '' } of snapshots) {
      world.attempts.get(attemptNumberOf(programVersion))?.excluded.add(name);
    }
    const monitor = Object.assign(new HearingMonitor(world), {
      snapshotRewritten: (_: unknown, id: string | undefined) => {
        if (process.time.isAlive && id !== undefined) place.oracle.reportedStored(id);
      },
    });
    const change = { selection: { select, isInclude: false }, withSummary: false };
    const request = { snapshots, existing: all, change, forget, dryRun: false, lock };
    const { environment } = process;
    const context = { environment, monitor, signal };
    const { changedCount } = await rewriteSnapshots(indexed, request, context);
    if (changedCount > 0) world.reach('rewritten');
    return changedCount > 0 ? 'rewritten' : 'nothing to rewrite';
  });
}

export async function runRepairIndex(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor }) => {
    const { environment } = process;
    const context = { environment, monitor, signal };
    const readAllPacks = world.random.oneIn(3);
    const plan = await planIndexRepair(repository, { readAllPacks }, context);
    // What it stores waits for its lock by itself.
    const result = await executeIndexRepair(repository, plan, context);
    await lock?.settled;
    return result.damagedPacks.length > 0 ? 'damaged' : 'repaired';
  });
}

/** Makes a snapshot of trees that nothing refers to. */
export async function runRecover(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor, loadIndex }) => {
    const { environment } = process;
    const context = { environment, monitor, signal };
    const onUnreadable = tellUnreadable(monitor);
    const snapshots = await loadSnapshots(repository, { signal, onUnreadable });
    const plan = await planIndexRepair(repository, { readAllPacks: false }, context);
    await executeIndexRepair(repository, plan, context);
    await lock?.settled;
    const owner = {
      hostname: process.machine.name,
      username: 'user',
      uid: 0,
      gid: 0,
      programVersion: recoveredVersion,
    };
    const request = { snapshots, takesIncomplete: false, owner, lock };
    const { snapshotId } = await recover(await loadIndex(), request, context);
    if (snapshotId === undefined) return 'nothing to recover';
    world.reach('recovered');
    return 'recovered';
  });
}

/** Copies some snapshots to another repository. */
export function copyTo(other: Place): (actor: Actor) => Promise<string> {
  return (actor) =>
    session(actor, 'shared', (source) =>
      session({ ...actor, place: other }, 'shared', async (target) => {
        const { world, process } = actor;
        const { signal } = target;
        const all = await loadSnapshots(source.repository, { signal });
        const existing = await loadSnapshots(target.repository, { signal });
        const monitor = Object.assign(new HearingMonitor(world), {
          snapshotCopied: (_: unknown, id: string) => {
            if (process.time.isAlive) other.oracle.reportedStored(id);
          },
        });
        const request = {
          snapshots: all.filter(() => world.random.oneIn(2)).toReversed(),
          existing,
          source: await source.loadIndex(),
          target: await target.loadIndex(),
          lock: target.lock,
        };
        const { environment } = process;
        const both = AbortSignal.any([source.signal, target.signal]);
        const result = await copySnapshots(request, { environment, monitor, signal: both });
        if (result.copied.length > 0) world.reach('copied');
        const ended = { command: 'copy', met: process.met, places: [actor.place, other] };
        // Who may not read cannot tell why.
        const isSpared = process.met.has('denied') || mayFindDamage(ended);
        if (result.failed.length > 0 && !isSpared && process.time.isAlive) {
          world.fail(`I7: copy of ${result.failed[0]}: ${monitor.problems[0]}`);
        }
        return result.copied.length > 0 ? 'copied' : 'nothing to copy';
      }),
    );
}
