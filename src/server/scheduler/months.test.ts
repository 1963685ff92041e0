import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hurried } from '../../../test/tools/engine.ts';
import { mustRestic } from '../../../test/tools/restic.ts';
import { describeNeeding, needs } from '../../../test/tools/peers.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import type { AgentHost } from '../../agent/host.ts';
import type { DutyRecord } from '../../agent/memory.ts';
import { performDuty } from '../../agent/perform-duty.ts';
import type { DutyReport, DutyTask } from '../../agent/run-messages.ts';
import type { Policy } from '../../contracts/policy.ts';
import { dutiesOf } from '../../policy/duties.ts';
import { createRepository } from '../../repository/repository.ts';
import { LocalBackend } from '../../storage/local/local-backend.ts';
import { StateBed } from '../server-test-support.ts';
import { childWorkers } from './carry-run.ts';
import { pass, SchedulerBed, SimulatedClock, timeText } from './scheduler-test-support.ts';

/** Three months of a server whose work is real, on a clock that goes on by itself: repositories, snapshots, retention, restores. */

const scratch = scratchFolder('months');
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const password = 'a password';

const nothing = (): void => {};

/** Does the work in this process, at the time of the simulation; what waits for others waits for a moment. */
function workerAt(clock: SimulatedClock, source: string) {
  let count = 0;
  return async ({
    estate,
    dutyId,
    slotMs,
    record: before,
    variables,
  }: DutyTask): Promise<DutyReport> => {
    writeFileSync(`${source}/file-${count % 5}`, `content ${count++}`);
    const host: AgentHost = {
      environment: {
        ...hurried,
        clock: { ...hurried.clock, wallMs: clock.wallMs, wallNs: clock.wallNs },
      },
      signal: new AbortController().signal,
      variables,
      programVersion: 'holdfast test',
      cache: undefined,
      listener: {
        started: nothing,
        progress: nothing,
        problem: nothing,
        note: nothing,
        finished: nothing,
      },
    };
    const duty = dutiesOf(estate, clock.wallMs()).find(({ id }) => id === dutyId);
    if (!duty) throw new Error('the duty is there');
    let record: DutyRecord | undefined = before;
    const memory = {
      load: () => record,
      save: (_: string, next: DutyRecord) => void (record = next),
    };
    const result = await performDuty({ host, estate, memory }, duty, slotMs);
    const { outcome, durationMs, attempts, summary, problems, problemCount, output, snapshotId } =
      result;
    const parts = { outcome, durationMs, attempts, summary, problems, problemCount };
    return { ...parts, output, snapshotId, errorCode: undefined, record };
  };
}

async function addRepository(bed: StateBed, name: string): Promise<string> {
  const location = scratch.fresh(name);
  mkdirSync(location);
  const backend = await LocalBackend.open(location, { environment: hurried });
  const scrypt = { N: 1024, r: 8, p: 1 };
  const who = { hostname: 'host', username: 'user', scrypt };
  const made = await createRepository(backend, {
    environment: hurried,
    ...who,
    password: Buffer.from(password),
  });
  const secrets = { password, environment: {} };
  const repository = { name, entry: { location }, secrets, repositoryId: made.config.id };
  await bed.state.transaction((db) => bed.estate.putRepository(db, repository, true));
  return location;
}

describeNeeding('restic')(`three months${needs('restic')}`, () => {
  test('each day has its runs, once; what is kept is what the policy says, and restic finds it sound', async () => {
    const clock = new SimulatedClock(Date.parse('2027-01-01T12:00:00Z'));
    clock.stepMs = hourMs;
    const bed = await StateBed.open({ kind: 'sqlite', path: scratch.fresh('state.db') }, clock);
    const source = scratch.fresh('source');
    mkdirSync(source);
    const first = await addRepository(bed, 'first');
    const second = await addRepository(bed, 'second');
    const policy: Policy = {
      repository: 'first',
      'time-zone': 'Europe/Berlin',
      backup: { daily: ['02:30'] },
      retention: { 'keep-daily': 7, 'keep-weekly': 4 },
      copies: [{ repository: 'second', when: { weekly: { on: ['sun'], at: ['05:00'] } } }],
      prune: { when: { weekly: { on: ['sun'], at: ['06:00'] } } },
      verify: { within: '30d', when: { weekly: { on: ['mon'], at: ['08:00'] } } },
      drill: { when: { monthly: { on: [1], at: ['07:00'] } }, files: 3 },
    };
    await bed.state.transaction(async (db) => {
      await bed.estate.put(db, { kind: 'policies', name: 'p', entry: policy }, true);
      const entry = { kind: 'files', paths: [source], policy: 'p' } as const;
      await bed.estate.put(db, { kind: 'sources', name: 'documents', entry }, true);
    });
    const workers = { ...childWorkers, duty: workerAt(clock, source) };
    const server = new SchedulerBed(bed, clock, { workers });
    await server.scheduler.start();
    await pass(clock, [server], 90 * dayMs);
    const runs = await server.runs();
    await server.scheduler.stop();
    expect(runs.filter(({ outcome }) => outcome !== 'success')).toEqual([]);
    expect(server.told).toEqual([]);
    expect(await bed.alerts.list({ isOpen: undefined }, { after: undefined, limit: 10 })).toEqual(
      [],
    );
    const slots = runs.map(({ duty, slot_ms }) => `${duty} ${timeText(slot_ms)}`);
    expect(new Set(slots).size).toBe(slots.length);
    const counts = Object.groupBy(runs, ({ duty }) => duty);
    // The slots that had passed when it began are done once, each.
    expect(
      Object.fromEntries(Object.entries(counts).map(([duty, all]) => [duty, all?.length])),
    ).toEqual({
      'back up documents': 91,
      'copy documents to second': 14,
      'apply retention to documents in first': expect.any(Number),
      'free space in first': 14,
      'free space in second': 14,
      'verify first': expect.any(Number),
      'verify second': expect.any(Number),
      'drill documents': 4,
    });
    const backups =
      counts['back up documents']?.map(({ slot_ms }) => timeText(slot_ms).slice(11)) ?? [];
    expect(new Set(backups)).toEqual(new Set(['01:30Z', '00:30Z']));
    await bed.close();
    const kept = JSON.parse(
      await mustRestic(first, ['snapshots', '--json'], { password }),
    ) as unknown[];
    // Seven days up to April 1, and of the four weeks up to then the two Sundays before these days.
    expect(kept).toHaveLength(9);
    for (const place of [first, second]) {
      expect(await mustRestic(place, ['check', '--read-data'], { password })).toMatch(/no errors/);
    }
  });
});
