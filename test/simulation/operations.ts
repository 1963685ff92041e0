import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { backup, SourceWalk } from '../../src/engine/backup.ts';
import { check } from '../../src/engine/check.ts';
import { planForget, removeSnapshots } from '../../src/engine/forget.ts';
import { executePrune, planPrune } from '../../src/engine/prune.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/engine/repair-index.ts';
import { restore } from '../../src/engine/restore.ts';
import { isKept } from '../../src/engine/retention/decide.ts';
import type { RetentionPolicy } from '../../src/engine/retention/policy.ts';
import { tagSnapshots } from '../../src/engine/tag.ts';
import { addKey, changePassword } from '../../src/repository/keys.ts';
import { removeStaleLocks } from '../../src/repository/locks.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { type ClientSession, type SessionPlan, withClientSession } from './client-session.ts';
import { type Attempt, versionOf } from './oracle.ts';
import { PlainSource, type PlainTree, type SimulatedFolder } from './simulated-folder.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { Place, World } from './world.ts';

/** Who does something, where. */
export interface Actor {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly place: Place;
  readonly folder: SimulatedFolder;
  /** Seconds to wait for others' locks. */
  readonly retryMs?: number;
}

/** One thing that a client can do. Tells in a word how it ended; throws what the program would exit with. */
export type ClientOperation = (actor: Actor) => Promise<string>;

/** A key that costs next to nothing. */
export const cheapScrypt = { N: 2, r: 1, p: 1 } as const;

function session<T>(
  { world, process, place, retryMs }: Actor,
  lock: SessionPlan['lock'],
  work: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const plan = retryMs === undefined ? { lock } : { lock, retryMs };
  return withClientSession(world, { process, place, plan }, work);
}

/** Enters a backup that is about to be tried. */
export function newAttempt({ world, process }: Actor, tree: PlainTree): Attempt {
  const attempt: Attempt = {
    number: world.attempts.size + 1,
    folder: process.machine.name,
    tree,
    state: 'running',
    mayVanish: false,
  };
  world.attempts.set(attempt.number, attempt);
  return attempt;
}

export async function runBackup(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'shared', async ({ repository, lock, signal, monitor, loadIndex }) => {
    const { environment } = process;
    const earlier = await loadSnapshots(repository, {
      signal,
      onUnreadable: tellUnreadable(monitor),
    });
    const indexed = await loadIndex();
    const attempt = newAttempt(actor, actor.folder.state());
    const source = new PlainSource(attempt.folder, attempt.tree);
    const options = {
      hostname: process.machine.name,
      username: 'user',
      uid: 0,
      gid: 0,
      programVersion: versionOf(attempt),
      tags: [],
      groupBy: { host: true, paths: true, tags: false },
      workerCount: 1 + world.random.below(2),
    };
    try {
      const walk = new SourceWalk(source, environment.clock);
      const context = { environment, monitor, signal };
      const result = await backup(indexed, walk, { options, earlier, lock }, context);
      if (!process.time.isAlive || result.snapshotId === undefined) return 'ended';
      const isClean = result.problems.length === 0;
      place.oracle.reported(attempt, { snapshotId: result.snapshotId, isClean });
      world.note(
        `${process.name} stored backup ${attempt.number} ${result.snapshotId.slice(0, 8)}`,
      );
      return isClean ? 'complete' : 'partial';
    } catch (error) {
      attempt.state = 'failed';
      throw error;
    }
  });
}

export async function runCheck(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor }) => {
    const { environment } = process;
    const readData = world.random.oneIn(2) ? { readData: { kind: 'all' } as const } : {};
    const result = await check(repository, readData, { environment, monitor, signal });
    await lock?.settled;
    lock?.assertHeld();
    if (result.errorCount === 0) return 'sound';
    if (process.time.isAlive && world.mustBeSound) {
      world.fail(`I4: check found ${monitor.problems[0] ?? result.errors[0]}`);
    }
    return 'errors';
  });
}

/** In memory where there is such a folder: nobody wants the restored files to be durable. */
const restoreFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Restores a snapshot into a real folder and compares it with what was backed up. */
export async function runRestore(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'shared', async ({ repository, signal, monitor, loadIndex, lock }) => {
    const snapshots = await loadSnapshots(repository, { signal });
    const indexed = await loadIndex();
    if (snapshots.length === 0) return 'nothing there';
    const snapshot = world.random.pick(snapshots);
    const judged = place.oracle.snapshots.get(snapshot.id);
    const target = mkdtempSync(path.join(restoreFolder, 'holdfast-simulation-'));
    try {
      const options = { overwrite: 'always', workerCount: 1 } as const;
      const request = { snapshot, target: Buffer.from(target), options };
      const { environment } = process;
      const result = await restore(indexed, request, { environment, monitor, signal });
      if (result.problems.length > 0) {
        if (process.time.isAlive && world.mustBeSound) {
          world.fail(`I1: restore of ${snapshot.id.slice(0, 8)}: ${monitor.problems[0]}`);
        }
        return 'problems';
      }
      await lock?.settled;
      if (judged) compareRestored(world, path.join(target, judged.attempt.folder), judged.attempt);
      return 'restored';
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  });
}

function compareRestored(world: World, folder: string, { tree, number }: Attempt): void {
  const left = new Set<string>();
  for (const [name, file] of tree) if (file.isReadable) left.add(name);
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const full = path.join(folder, entry);
    if (lstatSync(full).isDirectory()) continue;
    const expected = tree.get(entry);
    if (!expected || Buffer.compare(expected.bytes, readFileSync(full)) !== 0) {
      world.fail(`I1: ${entry} of backup ${number} was restored with other bytes`);
    }
    left.delete(entry);
  }
  for (const name of left) world.fail(`I1: ${name} of backup ${number} was not restored`);
}

export async function runTag(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor }) => {
    const snapshots = await loadSnapshots(repository, { signal });
    const chosen = snapshots.filter(() => world.random.oneIn(4));
    const change = { kind: 'set', tags: [`tag${world.random.below(5)}`] } as const;
    const request = { change, lock, onChange: () => {} };
    const { environment } = process;
    await tagSnapshots(repository, chosen, request, { environment, monitor, signal });
    return 'tagged';
  });
}

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

/** Removes old snapshots by a policy. */
export async function runForget(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'exclusive', async ({ repository, signal, monitor }) => {
    const { environment } = process;
    const context = { environment, monitor, signal };
    const snapshots = await loadSnapshots(repository, { signal });
    const request = {
      policy: keepLast(1 + world.random.below(3)),
      groupBy: { host: true, paths: true, tags: false },
      allowRemoveAll: false,
    };
    const groups = planForget(snapshots, request, context);
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

/** Deletes what nobody needs, alone with the repository. */
export function runInstantPrune(actor: Actor): Promise<string> {
  return prune(actor, true);
}

async function prune(actor: Actor, instant: boolean): Promise<string> {
  const { process, world } = actor;
  return session(actor, instant ? 'exclusive' : 'prune', async (opened) => {
    const { repository, lock, signal, monitor } = opened;
    const context = { environment: process.environment, monitor, signal };
    const source = { repository, loadIndex: opened.loadWholeIndex };
    const policy = {
      maxUnused: { kind: 'percent', percent: world.random.pick([0, 5, 50]) },
    } as const;
    const plan = await planPrune(
      source,
      { policy, instant, keepDeleteMs: world.keepDeleteMs },
      context,
    );
    await lock?.settled;
    const locks = { lock, commit: () => opened.lockPart('commit'), probe: process.probe };
    const { deleted, marked, blockedBy } = await executePrune(plan, locks, context);
    if (blockedBy !== undefined) return 'blocked';
    world.note(`${process.name} deleted ${deleted.length} packs, marked ${marked.length}`);
    return deleted.length > 0 ? 'deleted' : 'marked';
  });
}

export async function runRepairIndex(actor: Actor): Promise<string> {
  const { world, process } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor }) => {
    const { environment } = process;
    const context = { environment, monitor, signal };
    const readAllPacks = world.random.oneIn(3);
    const plan = await planIndexRepair(repository, { readAllPacks }, context);
    await lock?.settled;
    const result = await executeIndexRepair(repository, plan, context);
    return result.damagedPacks.length > 0 ? 'damaged' : 'repaired';
  });
}

/** Gives the repository another password. The old one is good until the new one is known to be. */
export async function runPasswd(actor: Actor): Promise<string> {
  const { world, process } = actor;
  const password = `password ${process.pid}`;
  return session(actor, 'exclusive', async ({ repository, signal }) => {
    world.passwords.push(password);
    const words = { hostname: process.machine.name, username: 'user', scrypt: cheapScrypt };
    await changePassword(repository, { ...words, password: Buffer.from(password), signal });
    if (process.time.isAlive) world.password = password;
    return 'changed';
  });
}

export async function runKeyAdd(actor: Actor): Promise<string> {
  const { world, process } = actor;
  const password = `password ${process.pid}`;
  return session(actor, 'shared', async ({ repository, signal, lock }) => {
    await lock?.settled;
    world.passwords.push(password);
    const words = { hostname: process.machine.name, username: 'user', scrypt: cheapScrypt };
    await addKey(repository, { ...words, password: Buffer.from(password), signal });
    return 'added';
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
