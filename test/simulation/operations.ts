import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { backup, SourceWalk } from '../../src/engine/backup.ts';
import { check } from '../../src/engine/check.ts';
import { restore } from '../../src/engine/restore.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { type ClientSession, type SessionPlan, withClientSession } from './client-session.ts';
import { mayFindDamage } from './excuses.ts';
import { type Attempt, versionOf } from './oracle.ts';
import { PlainSource, type SimulatedFolder } from './simulated-folder.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { Place, World } from './world.ts';

/** Who does something, where. */
export interface Actor {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly place: Place;
  readonly folder: SimulatedFolder;
  /** Milliseconds to wait for others' locks. */
  readonly retryMs?: number;
}

/** One thing that a client can do. Tells in a word how it ended; throws what the program would exit with. */
export type ClientOperation = (actor: Actor) => Promise<string>;

/** A key that costs next to nothing. */
export const cheapScrypt = { N: 2, r: 1, p: 1 } as const;

export function session<T>(
  { world, process, place, retryMs }: Actor,
  lock: SessionPlan['lock'],
  work: (session: ClientSession) => Promise<T>,
): Promise<T> {
  const plan = retryMs === undefined ? { lock } : { lock, retryMs };
  return withClientSession(world, { process, place, plan }, work);
}

/** Enters a backup that is about to be tried. */
export function newAttempt(
  { world, process, folder }: Actor,
  by: Pick<Attempt, 'beganMs' | 'isForeign'>,
): Attempt {
  const attempt: Attempt = {
    number: world.attempts.size + 1,
    folder: process.machine.name,
    tree: folder.state(),
    by: process.name,
    ...by,
    excluded: new Set(),
    harmed: new Set(),
  };
  world.attempts.set(attempt.number, attempt);
  return attempt;
}

export async function runBackup(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  const { nowMs } = world.queue;
  return session(actor, 'shared', async ({ repository, lock, signal, monitor, loadIndex }) => {
    const { environment } = process;
    const onUnreadable = tellUnreadable(monitor);
    const earlier = await loadSnapshots(repository, { signal, onUnreadable });
    const indexed = await loadIndex();
    const attempt = newAttempt(actor, { beganMs: nowMs, isForeign: false });
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
    const walk = new SourceWalk(source, environment.clock);
    const context = { environment, monitor, signal };
    const result = await backup(indexed, walk, { options, earlier, lock }, context);
    if (!process.time.isAlive || result.snapshotId === undefined) return 'ended';
    const isClean = result.problems.length === 0;
    place.oracle.reported(attempt, { snapshotId: result.snapshotId, isClean });
    world.note(`${process.name} stored backup ${attempt.number} ${result.snapshotId.slice(0, 8)}`);
    return isClean ? 'complete' : 'partial';
  });
}

export async function runCheck(actor: Actor): Promise<string> {
  const { world, process, place } = actor;
  return session(actor, 'exclusive', async ({ repository, lock, signal, monitor }) => {
    const { environment } = process;
    const readsAll = world.random.oneIn(2);
    const before = place.oracle.harmedSnapshots({ onlyVisible: !readsAll });
    const how = readsAll ? { readData: { kind: 'all' } as const } : {};
    const result = await check(repository, how, { environment, monitor, signal });
    await lock?.settled;
    lock?.assertHeld();
    if (!process.time.isAlive) return 'ended';
    // Damage that came while it ran may be seen or not.
    const after = place.oracle.harmedSnapshots({ onlyVisible: !readsAll });
    const missed = before.find((each) => after.includes(each) && result.errorCount === 0);
    if (missed) world.fail(`I4b: check found nothing, but snapshot ${missed} cannot be restored`);
    if (result.errorCount === 0) return 'sound';
    if (before.length > 0) world.reach('rotFound');
    const unexpected = result.errors.find((error) => !place.oracle.isOfSacrifice(error));
    // What it may not read it tells of as well.
    const isRefused = process.met.has('denied');
    const ended = { command: 'check', met: process.met, places: [place] };
    const isExpected = isRefused || mayFindDamage(ended);
    if (unexpected !== undefined && !isExpected) world.fail(`I4a: check found ${unexpected}`);
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
      const isHarmed = place.oracle.harmedSnapshots().includes(snapshot.id);
      const result = await restore(indexed, request, { environment, monitor, signal });
      if (result.problems.length > 0) {
        if (isHarmed) world.reach('rotMet');
        // Who may not read tells of each file, as does whoever slept until the snapshot was forgotten and pruned.
        const isGone = !place.oracle.snapshots.has(snapshot.id);
        const isInTheWay = process.met.has('denied') || process.met.has('rolledBack');
        const ended = { command: 'restore', met: process.met, places: [place] };
        if (process.time.isAlive && !isGone && !isInTheWay && !mayFindDamage(ended)) {
          world.fail(`I1: restore of ${snapshot.id.slice(0, 8)}: ${monitor.problems[0]}`);
        }
        return 'problems';
      }
      await lock?.settled;
      const attempt = judged?.attempt;
      const other = attempt && findDifference(path.join(target, attempt.folder), attempt);
      if (other !== undefined) world.fail(`I1: the restore gave ${other}`);
      return 'restored';
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  });
}

/**
 * Looks at what a restore has left that told of no problem. Files of other bytes are never right, whatever was damaged.
 * @returns what differs
 */
export function findDifference(folder: string, attempt: Attempt): string | undefined {
  const { tree, number, excluded, harmed } = attempt;
  const left = new Set<string>();
  for (const [name, file] of tree) if (file.isReadable) left.add(name);
  const isHarmed = (name: string): boolean => harmed.has(`${attempt.folder}/${name}`);
  const entries = existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
    : [];
  for (const entry of entries) {
    const full = path.join(folder, entry);
    if (lstatSync(full).isDirectory()) continue;
    const bytes = readFileSync(full);
    const isEmptied = bytes.byteLength === 0 && isHarmed(entry);
    const expected = tree.get(entry);
    if (!isEmptied && (!expected || Buffer.compare(expected.bytes, bytes) !== 0)) {
      return `${entry} of backup ${number} with other bytes`;
    }
    left.delete(entry);
  }
  for (const name of left) {
    if (excluded.has(path.basename(name)) || isHarmed(name)) continue;
    return `no ${name} of backup ${number}`;
  }
  return undefined;
}
