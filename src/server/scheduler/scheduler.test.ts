import { afterEach, describe, expect, test } from 'vitest';
import { eachDatabase } from '../../../test/tools/databases.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import type { Policy } from '../../contracts/policy.ts';
import { StateBed } from '../server-test-support.ts';
import { fillAtEnds } from '../state/full-database-test-support.ts';
import { leaseMs } from '../state/lease-store.ts';
import type { StateLocation } from '../state/state.ts';
import { pass, SchedulerBed, settle, SimulatedClock, timeText } from './scheduler-test-support.ts';

/** What runs when: once for each slot, whatever happens to clocks and servers. */

const scratch = scratchFolder('scheduler');
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const states: StateBed[] = [];
const started: SchedulerBed[] = [];
afterEach(async () => {
  for (const bed of started.splice(0)) await bed.scheduler.stop();
  for (const state of states.splice(0)) await state.close();
});

function newFile(): StateLocation {
  return { kind: 'sqlite', path: scratch.fresh('state.db') };
}

async function openState(
  location: StateLocation,
  at: string,
  { sources, ...policy }: Partial<Policy> & { readonly sources?: string[] } = {},
): Promise<{ state: StateBed; clock: SimulatedClock }> {
  const clock = new SimulatedClock(Date.parse(at));
  const state = await StateBed.open(location, clock);
  states.push(state);
  await state.addEstate(policy, sources);
  return { state, clock };
}

async function start(
  state: StateBed,
  clock: SimulatedClock,
  isAlone = true,
): Promise<SchedulerBed> {
  const bed = new SchedulerBed(state, clock, { isAlone });
  await bed.scheduler.start();
  started.push(bed);
  return bed;
}

async function stop(bed: SchedulerBed): Promise<void> {
  started.splice(started.indexOf(bed), 1);
  await bed.scheduler.stop();
}

/** Slots of the runs of a state, in the order in which they were made, with how they ended. */
async function history(bed: SchedulerBed): Promise<string[]> {
  const runs = await bed.runs();
  return runs.map(({ slot_ms, attempt, outcome }) => {
    const again = attempt === 1 ? '' : ` again ${attempt}`;
    return `${timeText(slot_ms)}${again} ${outcome ?? 'open'}`;
  });
}

eachDatabase(scratch, (newDatabase) => {
  test('a slot has one run, also where the server is started anew', async () => {
    const { state, clock } = await openState(await newDatabase(), '2027-01-01T10:30:00Z');
    clock.stepMs = 5 * minuteMs;
    let bed = await start(state, clock);
    for (let i = 0; i < 4; i++) {
      await pass(clock, [bed], 40 * minuteMs);
      await stop(bed);
      bed = await start(state, clock);
    }
    await settle(clock, [bed]);
    expect(await history(bed)).toEqual([
      '2027-01-01T10:00Z success',
      '2027-01-01T11:00Z success',
      '2027-01-01T12:00Z success',
      '2027-01-01T13:00Z success',
    ]);
  });

  test('a machine that was off catches up once; a clock that is set back repeats nothing', async () => {
    const { state, clock } = await openState(await newDatabase(), '2027-01-01T10:30:00Z');
    clock.stepMs = 5 * minuteMs;
    const bed = await start(state, clock);
    await pass(clock, [bed], 10 * minuteMs);
    clock.wall += 5 * hourMs;
    await pass(clock, [bed], 10 * minuteMs);
    clock.wall -= 3 * hourMs;
    await pass(clock, [bed], 2 * hourMs);
    clock.wall += hourMs;
    await pass(clock, [bed], 20 * minuteMs);
    expect(await history(bed)).toEqual([
      '2027-01-01T10:00Z success',
      // By a clock that was three hours late: these had been missed before.
      '2027-01-01T12:00Z success',
      '2027-01-01T13:00Z success',
      '2027-01-01T14:00Z success',
      // Of before the clock was set back, and not done again.
      '2027-01-01T15:00Z success',
      '2027-01-01T16:00Z success',
    ]);
  });

  test('two servers share the slots', async () => {
    const { state, clock } = await openState(await newDatabase(), '2027-01-01T10:30:00Z', {
      sources: ['a', 'b', 'c'],
    });
    clock.stepMs = 10_000;
    const beds = [await start(state, clock, false), await start(state.beside(), clock, false)];
    await pass(clock, beds, 40 * minuteMs);
    const runs = await history(beds[0] ?? (await start(state, clock)));
    expect(runs).toHaveLength(6);
    expect(new Set(runs)).toEqual(
      new Set(['2027-01-01T10:00Z success', '2027-01-01T11:00Z success']),
    );
    expect(beds.flatMap(({ begun }) => begun)).toHaveLength(6);
    expect(beds.flatMap(({ told }) => told)).toEqual([]);
  });

  test('what a server had under way that stands still is done by another, once', async () => {
    const location = await newDatabase();
    const { state, clock } = await openState(location, '2027-01-01T10:30:00Z');
    const still = await start(state, clock, false);
    const work = still.held();
    still.script = work.script;
    while (still.heldCount === 0) await clock.nextTurn();
    // It stands still: nothing of its time passes any more.
    const later = new SimulatedClock(clock.wall);
    const second = await StateBed.open(location, later);
    states.push(second);
    const other = await start(second, later, false);
    await settle(later, [other]);
    expect(await history(other)).toEqual(['2027-01-01T10:00Z open']);
    await state.state.db
      .updateTable('leases')
      .set({ expires_ms: 0 })
      .where('token', '=', 1)
      .execute();
    later.stepMs = 5000;
    await pass(later, [other], minuteMs);
    const done = ['2027-01-01T10:00Z interrupted', '2027-01-01T10:00Z again 2 success'];
    expect(await history(other)).toEqual(done);
    work.release();
    await pass(clock, [still], 10_000);
    expect(await history(other)).toEqual(done);
    expect(still.heldCount).toBe(0);
  });

  test('a server that is stopped ends its runs, and the next takes them up again', async () => {
    const { state, clock } = await openState(await newDatabase(), '2027-01-01T10:30:00Z');
    const bed = await start(state, clock);
    bed.script = bed.held().script;
    while (bed.heldCount === 0) await clock.nextTurn();
    await stop(bed);
    expect(await history(bed)).toEqual(['2027-01-01T10:00Z interrupted']);
    const next = await start(state, clock);
    await pass(clock, [next], minuteMs);
    expect(await history(next)).toEqual([
      '2027-01-01T10:00Z interrupted',
      '2027-01-01T10:00Z again 2 success',
    ]);
  });
});

describe('on SQLite', () => {
  test.each([
    ['spring', '2027-03-26T12:00:00Z', ['03-27T01:30Z', '03-28T01:30Z', '03-29T00:30Z']],
    ['autumn', '2027-10-29T12:00:00Z', ['10-30T00:30Z', '10-31T00:30Z', '11-01T01:30Z']],
  ])('a night has one run when clocks are changed in %s', async (_, at, nights) => {
    const backup = { daily: ['02:30'] };
    const policy = { 'time-zone': 'Europe/Berlin', backup };
    const { state, clock } = await openState(newFile(), at, policy);
    clock.stepMs = 5 * minuteMs;
    const bed = await start(state, clock);
    await pass(clock, [bed], 3 * dayMs);
    const slots = (await history(bed)).slice(1).map((text) => text.slice(5, 17));
    expect(slots).toEqual(nights);
  });

  test('what fails is tried again, later each time, until the next slot', async () => {
    const backup = { daily: ['10:00'] };
    const { state, clock } = await openState(newFile(), '2027-01-01T10:00:00Z', { backup });
    clock.stepMs = minuteMs;
    const bed = await start(state, clock);
    bed.script = async () => ({ outcome: 'failed' });
    await pass(clock, [bed], 3 * hourMs);
    expect(bed.begun.map(({ at }) => at)).toEqual([
      '2027-01-01T10:00Z',
      '2027-01-01T10:10Z',
      '2027-01-01T10:30Z',
      '2027-01-01T11:10Z',
    ]);
    bed.script = async () => ({});
    await pass(clock, [bed], 22 * hourMs);
    expect((await history(bed)).slice(4)).toEqual(['2027-01-02T10:00Z success']);
  });

  test('a disk that is away is looked for, and is no alert until it is overdue', async () => {
    const policy = { backup: { daily: ['10:00'] }, 'overdue-after': '2d' };
    const { state, clock } = await openState(newFile(), '2027-01-01T10:00:00Z', policy);
    clock.stepMs = 5 * minuteMs;
    const bed = await start(state, clock);
    bed.script = async () => ({ outcome: 'waiting' });
    await pass(clock, [bed], 20 * hourMs);
    expect(bed.begun).toHaveLength(81);
    expect(await state.alerts.openCount()).toBe(0);
    await pass(clock, [bed], 30 * hourMs);
    expect(await state.alerts.openCount()).toBe(1);
    bed.script = async () => ({});
    await pass(clock, [bed], 30 * minuteMs);
    expect(await state.alerts.openCount()).toBe(0);
    expect((await history(bed)).at(-1)).toMatch(/^2027-01-03T10:00Z again \d+ success$/);
  });

  test('it alerts on absence: also where nothing ever fails, since nothing may start', async () => {
    const policy = { windows: ['03:00-03:01'] };
    const { state, clock } = await openState(newFile(), '2027-01-01T10:05:00Z', policy);
    clock.stepMs = 10 * minuteMs;
    const bed = await start(state, clock);
    await pass(clock, [bed], 4 * dayMs);
    // Steps of ten minutes, of which none meets the window of one.
    expect(bed.begun).toEqual([]);
    const alerts = await state.alerts.list({ isOpen: true }, { after: undefined, limit: 10 });
    expect(alerts.map(({ object }) => object)).toEqual(['back up documents']);
  });

  test('what somebody cancels ends, and its slot with it', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z');
    const bed = await start(state, clock);
    bed.script = bed.held().script;
    while (bed.heldCount === 0) await clock.nextTurn();
    const [run] = await bed.runs();
    // As another server does it, which does not have the run.
    await state.state.transaction((db) => state.runs.cancel(db, run?.id ?? '', 'user:anna'));
    await pass(clock, [bed], 2000);
    expect(bed.heldCount).toBe(0);
    bed.script = async () => ({});
    clock.stepMs = minuteMs;
    await pass(clock, [bed], hourMs);
    expect(await history(bed)).toEqual([
      '2027-01-01T10:00Z cancelled',
      '2027-01-01T11:00Z success',
    ]);
  });

  test('a repository has one run at a time; a restore goes before all and beside them', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z', {
      sources: ['a', 'b', 'c'],
    });
    const bed = await start(state, clock);
    const work = bed.held();
    bed.script = work.script;
    while (bed.heldCount === 0) await clock.nextTurn();
    await pass(clock, [bed], 10_000);
    expect([bed.heldCount, bed.begun.length]).toEqual([1, 1]);
    const request = { snapshot: 'aabbccdd', target: '/tmp/x' };
    await state.state.transaction((db) =>
      state.runs.addRestore(db, { repository: 'main', request, startedBy: 'user:anna' }),
    );
    bed.scheduler.poke();
    await pass(clock, [bed], 2000);
    expect(bed.restored).toMatchObject([{ kind: 'restore', target: '/tmp/x', name: 'main' }]);
    expect(bed.heldCount).toBe(1);
    work.release();
    await pass(clock, [bed], 10_000);
    expect(bed.begun).toHaveLength(3);
  });

  test('what is not asked for any more is not begun', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z', {
      sources: ['a', 'b'],
    });
    const bed = await start(state, clock);
    const work = bed.held();
    bed.script = work.script;
    while (bed.heldCount === 0) await clock.nextTurn();
    await state.state.transaction((db) => state.estate.remove(db, 'sources', 'b'));
    work.release();
    await pass(clock, [bed], 10_000);
    expect(await history(bed)).toEqual([
      '2027-01-01T10:00Z success',
      '2027-01-01T10:00Z superseded',
    ]);
    expect([...(await state.runs.duties()).keys()]).toEqual(['back up a']);
  });

  test('a source that comes back is backed up at once', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z');
    const bed = await start(state, clock);
    await pass(clock, [bed], 10_000);
    const entry = { kind: 'files', paths: ['/home/documents'], policy: 'p' } as const;
    const source = { kind: 'sources', name: 'documents' } as const;
    await state.state.transaction((db) => state.estate.remove(db, 'sources', 'documents'));
    await pass(clock, [bed], 10_000);
    await state.state.transaction((db) => state.estate.put(db, { ...source, entry }, true));
    await pass(clock, [bed], 10_000);
    expect(await history(bed)).toEqual(['2027-01-01T10:00Z success', '2027-01-01T10:00Z success']);
  });

  test('the end of a run that cannot be stored is stored when it can be', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z');
    const bed = await start(state, clock);
    const makeRoom = await fillAtEnds(state.state);
    while (bed.told.length === 0) await clock.nextTurn();
    expect(bed.told[0]).toMatch(/^run-not-stored: .*disk is full/);
    expect(await history(bed)).toEqual(['2027-01-01T10:00Z open']);
    await makeRoom();
    clock.step(clock.monotonic + 10_000);
    while ((await history(bed))[0] !== '2027-01-01T10:00Z success')
      clock.step(clock.monotonic + 1000);
    await settle(clock, [bed]);
    expect(bed.begun).toHaveLength(1);
  });

  test('a server whose database stays away ends its runs when its lease is over', async () => {
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z');
    const bed = await start(state, clock, false);
    bed.script = bed.held().script;
    while (bed.heldCount === 0) await clock.nextTurn();
    await state.close();
    const endMs = clock.monotonic + leaseMs;
    while (clock.monotonic < endMs) {
      expect(bed.heldCount).toBe(1);
      clock.step(endMs);
      while (clock.sleepingCount === 0) await clock.nextTurn();
    }
    while (bed.heldCount > 0) {
      clock.step(clock.monotonic + 1000);
      await clock.nextTurn();
    }
    await stop(bed);
    expect(bed.told.at(-1)).toMatch(/^lease-not-closed/);
  });

  test('many that wait for one repository keep nobody else waiting', async () => {
    const sources = Array.from({ length: 600 }, (_, i) => `s${i}`);
    const { state, clock } = await openState(newFile(), '2027-01-01T10:30:00Z', { sources });
    await state.state.transaction(async (db) => {
      const secrets = { password: 'x', environment: {} };
      const entry = { location: '/srv/other' };
      const other = { name: 'other', entry, secrets, repositoryId: '22'.repeat(32) };
      await state.estate.putRepository(db, other, true);
      const policy = { repository: 'other', backup: { every: '1h' } };
      await state.estate.put(db, { kind: 'policies', name: 'q', entry: policy }, true);
      const source = { kind: 'files', paths: ['/x'], policy: 'q' } as const;
      await state.estate.put(db, { kind: 'sources', name: 'z', entry: source }, true);
    });
    const bed = await start(state, clock);
    bed.script = bed.held().script;
    while (bed.heldCount < 2) await clock.nextTurn();
    expect(bed.begun.map(({ duty }) => duty).toSorted()).toEqual(['back up s0', 'back up z']);
  });
});
