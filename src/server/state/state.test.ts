import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eachDatabase } from '../../../test/tools/databases.ts';
import { describeWith } from '../../../test/tools/peers.ts';
import { startPostgres } from '../../../test/tools/postgres.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { systemRandom } from '../../base/random.ts';
import type { Duty } from '../../policy/duties.ts';
import { ManualClock } from '../../repository/lock-test-support.ts';
import { StateBed } from '../server-test-support.ts';
import { entryOf } from './estate-store.ts';
import { leaseMs } from './lease-store.ts';
import { migrations } from './migrations.ts';
import type { NewRun } from './run-store.ts';
import { openKeyFile, Sealer } from './seal.ts';
import { parseStateLocation, State, type StateLocation } from './state.ts';

/** The same on both databases: what the server knows, and what of it happens once. */

const scratch = scratchFolder('state');
const beds: StateBed[] = [];
let clock = new ManualClock();
beforeEach(() => {
  clock = new ManualClock();
});
afterEach(async () => {
  for (const bed of beds.splice(0)) await bed.close();
});

async function open(location: StateLocation): Promise<StateBed> {
  const bed = await StateBed.open(location, clock);
  beds.push(bed);
  return bed;
}

/** Another server on the same state. SQLite lets one process have it alone: there it shares the connection. */
async function beside(bed: StateBed, location: StateLocation): Promise<StateBed> {
  return location.kind === 'sqlite' ? bed.beside() : open(location);
}

function runOf(duty: Duty, more: Partial<NewRun> = {}): NewRun {
  return { duty, slotMs: 1000, reason: 'schedule', startedBy: 'schedule', attempt: 1, ...more };
}

function addFirst({ state, accounts }: StateBed, name: string): Promise<void> {
  return state.transaction((db) => accounts.addFirst(db, { name, password: 'hash' }));
}

const success = { outcome: 'success', summary: 'done', problems: [], problemCount: 0 } as const;

eachDatabase(scratch, (newDatabase) => {
  test('what was stored is there after it was opened again; a newer version is refused', async () => {
    const location = await newDatabase();
    const first = await StateBed.open(location, clock);
    await first.addEstate();
    const before = await first.estate.load();
    await first.close();
    const second = await open(location);
    expect(await second.estate.load()).toEqual(before);
    expect(before.repositories['main']).toEqual(
      entryOf('main', { location: '/srv/main' }, { password: '', environment: {} }),
    );
    const older = State.open(location, systemEnvironment, {});
    await expect(older).rejects.toMatchObject({ code: 'STATE_FAILED' });
    const newer = {
      ...migrations,
      '9999-broken': { up: async () => Promise.reject(new Error('no')) },
    };
    const broken = State.open(location, systemEnvironment, newer);
    await expect(broken).rejects.toMatchObject({ code: 'STATE_FAILED' });
    expect(await second.estate.load()).toEqual(before);
    if (location.kind === 'sqlite') {
      expect(existsSync(`${location.path}.before-9999-broken`)).toBe(true);
      expect(statSync(location.path).mode & 0o077).toBe(0);
    }
  });

  test('secrets are sealed, and open at their own place alone', async () => {
    const location = await newDatabase();
    const bed = await open(location);
    await bed.addEstate();
    const row = await bed.estate.getRepository('main');
    expect(JSON.stringify(row)).not.toContain('a secret password');
    expect(bed.estate.secretsOf(row).password).toBe('a secret password');
    const swapped = { ...row, name: 'other' };
    expect(() => bed.estate.secretsOf(swapped)).toThrow(
      expect.objectContaining({ code: 'SECRET_NOT_OPENED' }),
    );
    const other = new Sealer(new Uint8Array(32).fill(8), systemRandom);
    expect(() => other.open(row.secrets, 'repositories/main/secrets')).toThrow(/cannot be opened/);
    const variables = await bed.estate.variablesFor(['main']);
    expect(Object.values(variables)).toEqual(['a secret password']);
  });

  test('an estate holds together: names lead somewhere, and what is used stays', async () => {
    const bed = await open(await newDatabase());
    await bed.addEstate();
    const { estate, state } = bed;
    const change = (work: Parameters<State['transaction']>[0]): Promise<unknown> =>
      state.transaction(work);
    const revision = await estate.revision();
    const source = { kind: 'files', paths: ['/a'], policy: 'none' } as const;
    await expect(
      change((db) => estate.put(db, { kind: 'sources', name: 'x', entry: source }, true)),
    ).rejects.toMatchObject({ problems: [{ path: ['entry', 'policy'] }] });
    await expect(change((db) => estate.remove(db, 'repositories', 'main'))).rejects.toThrow(
      'the repository is used by policy "p"',
    );
    await expect(change((db) => estate.remove(db, 'policies', 'p'))).rejects.toThrow(
      'the policy is used by source "documents"',
    );
    await expect(change((db) => estate.remove(db, 'sources', 'none'))).rejects.toMatchObject({
      code: 'NOT_THERE',
    });
    expect(await estate.revision()).toBe(revision);
    await change((db) => estate.remove(db, 'sources', 'documents'));
    await change((db) => estate.remove(db, 'policies', 'p'));
    await change((db) => estate.remove(db, 'repositories', 'main'));
    expect(await estate.revision()).not.toBe(revision);
    expect(await estate.load()).toMatchObject({ repositories: {}, policies: {}, sources: {} });
  });

  test('pages follow one another', async () => {
    const bed = await open(await newDatabase());
    const names = Array.from({ length: 25 }, (_, i) => `s${String(i).padStart(2, '0')}`);
    await bed.addEstate({}, names);
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const rows = await bed.estate.list('sources', { after, limit: 10 });
      seen.push(...rows.map(({ name }) => name));
      if (rows.length < 10) break;
      after = rows.at(-1)?.name;
    }
    expect(seen).toEqual(names);
  });

  test('a slot gets one run of each attempt, whoever claims it', async () => {
    const location = await newDatabase();
    const bed = await open(location);
    const other = await beside(bed, location);
    await bed.addEstate();
    const [duty] = await bed.duties();
    if (!duty) throw new Error('it has one');
    const all = [bed, other, bed, other].map(({ runs }) => runs.claim(runOf(duty)));
    const made = (await Promise.all(all)).filter((id) => id !== undefined);
    expect(made).toHaveLength(1);
    expect(await other.runs.claim(runOf(duty, { attempt: 2 }))).toBeDefined();
    expect(await other.runs.list({}, { after: undefined, limit: 10 })).toHaveLength(2);
    expect((await bed.runs.lastAttempt(duty.id, 1000))?.attempt).toBe(2);
    const asked = bed.state.transaction((db) => bed.runs.add(db, runOf(duty)));
    await expect(asked).rejects.toThrow('a run of it waits already');
  });

  test('a repository has one run at a time, in the order in which they were made', async () => {
    const location = await newDatabase();
    const bed = await open(location);
    const other = await beside(bed, location);
    await bed.addEstate({}, ['a', 'b']);
    const [first, second] = await bed.duties();
    if (!first || !second) throw new Error('it has two');
    const id = await bed.runs.claim(runOf(first));
    const next = await bed.runs.claim(runOf(second));
    const here = await bed.leases.open('here');
    const there = await other.leases.open('there');
    expect(there.fence).toBe(here.fence + 1);
    const started = await Promise.all([bed.runs.startNext(here), other.runs.startNext(there)]);
    const [run] = started.filter((one) => one !== undefined);
    expect(started.filter((one) => one !== undefined)).toHaveLength(1);
    expect(run?.id).toBe(id);
    expect(await bed.runs.startNext(here)).toBeUndefined();
    const carrier = run?.server === here.server ? here : there;
    if (run) expect(await bed.runs.end(run, carrier, success)).toBe(true);
    expect((await other.runs.startNext(there))?.id).toBe(next);
  });

  test('a server that lost its lease writes nothing more; its runs are interrupted', async () => {
    const location = await newDatabase();
    const bed = await open(location);
    await bed.addEstate();
    const [duty] = await bed.duties();
    if (!duty) throw new Error('it has one');
    await bed.runs.claim(runOf(duty));
    const lost = await bed.leases.open('lost');
    const run = await bed.runs.startNext(lost);
    if (!run) throw new Error('it was started');
    const other = await bed.leases.open('other');
    expect(await bed.leases.sweep(other, false)).toBe(0);
    // PostgreSQL tells the time itself: there the lease is let run out.
    await bed.state.db
      .updateTable('leases')
      .set({ expires_ms: 0 })
      .where('name', '=', lost.server)
      .execute();
    expect(await bed.leases.sweep(other, false)).toBe(1);
    expect(await bed.leases.renew(lost)).toBe(false);
    expect(await bed.leases.renew(other)).toBe(true);
    const line = { seq: 1, at_ms: 1, level: 'note', text: 'late' };
    expect(await bed.runs.note(run.id, lost, { progress: undefined, lines: [line] })).toBe(false);
    expect(await bed.runs.end(run, lost, success)).toBe(false);
    expect(await bed.runs.get(run.id)).toMatchObject({
      state: 'ended',
      outcome: 'interrupted',
      error_code: 'RUN_INTERRUPTED',
    });
    expect(await bed.runs.log(run.id, { after: 0, limit: 10 })).toEqual([]);
    expect(await bed.state.db.selectFrom('busy').selectAll().execute()).toEqual([]);
    expect(leaseMs).toBeGreaterThan(10_000);
  });

  test('a run that waits is cancelled at once, one under way is asked to end', async () => {
    const bed = await open(await newDatabase());
    await bed.addEstate({}, ['a', 'b']);
    const [first, second] = await bed.duties();
    if (!first || !second) throw new Error('it has two');
    const running = (await bed.runs.claim(runOf(first))) ?? '';
    const waiting = (await bed.runs.claim(runOf(second))) ?? '';
    const carrier = await bed.leases.open('here');
    await bed.runs.startNext(carrier);
    const cancel = (id: string): Promise<unknown> =>
      bed.state.transaction((db) => bed.runs.cancel(db, id, 'user:anna'));
    expect(await cancel(waiting)).toMatchObject({ state: 'ended', outcome: 'cancelled' });
    expect(await cancel(running)).toMatchObject({ state: 'running', cancelled_by: 'user:anna' });
    expect(await bed.runs.cancelled(carrier)).toEqual([running]);
    expect(await bed.runs.startNext(carrier)).toBeUndefined();
  });

  test('old logs go, and older runs with their slots; what waits stays', async () => {
    const bed = await open(await newDatabase());
    await bed.addEstate({}, ['a', 'b']);
    const [first, second] = await bed.duties();
    if (!first || !second) throw new Error('it has two');
    await bed.runs.claim(runOf(first));
    const waiting = await bed.runs.claim(runOf(second));
    const carrier = await bed.leases.open('here');
    const run = await bed.runs.startNext(carrier);
    if (!run) throw new Error('it was started');
    const line = { seq: 1, at_ms: 1, level: 'note', text: 'said' };
    await bed.runs.note(run.id, carrier, { progress: undefined, lines: [line] });
    await bed.runs.end(run, carrier, success);
    const log = (): Promise<unknown[]> => bed.runs.log(run.id, { after: 0, limit: 10 });
    clock.suspend(89 * 86_400_000);
    await bed.runs.trim();
    expect(await log()).toHaveLength(1);
    clock.suspend(2 * 86_400_000);
    await bed.runs.trim();
    expect(await log()).toEqual([]);
    expect(await bed.runs.lastAttempt(first.id, 1000)).toMatchObject({ id: run.id });
    clock.suspend(310 * 86_400_000);
    await bed.runs.trim();
    const left = await bed.runs.list({}, { after: undefined, limit: 10 });
    expect(left.map(({ id }) => id)).toEqual([waiting]);
    expect(await bed.runs.lastAttempt(first.id, 1000)).toBeUndefined();
  });

  test('there is one first user, whoever asks at the same time, and always one who administers', async () => {
    const location = await newDatabase();
    const bed = await open(location);
    const other = await beside(bed, location);
    const results = await Promise.allSettled([addFirst(bed, 'anna'), addFirst(other, 'bert')]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const [user] = await bed.accounts.listUsers({ after: undefined, limit: 10 });
    const name = user?.name ?? '';
    const change = (values: Parameters<typeof bed.accounts.changeUser>[2]): Promise<void> =>
      bed.state.transaction((db) => bed.accounts.changeUser(db, name, values));
    await expect(change({ role: 'viewer' })).rejects.toThrow(/nobody would be left/);
    await expect(change({ isDisabled: true })).rejects.toThrow(/nobody would be left/);
    expect((await bed.accounts.getUser(name)).role).toBe('admin');
  });

  test('sessions and tokens end with what they rest on', async () => {
    const bed = await open(await newDatabase());
    const { accounts, state } = bed;
    const expiresMs = clock.wallMs() + 3 * 86_400_000;
    const [session, token] = await state.transaction(async (db) => {
      await accounts.addFirst(db, { name: 'anna', password: 'hash' });
      await accounts.addUser(db, { name: 'bert', password: 'hash', role: 'operator' });
      const asked = { user: 'bert', label: 'x', scopes: ['read', 'manage'], expiresMs } as const;
      return [await accounts.openSession(db, 'bert'), await accounts.addToken(db, asked)];
    });
    expect(
      JSON.stringify(await state.db.selectFrom('sessions').selectAll().execute()),
    ).not.toContain(session);
    expect(await accounts.bySession(session)).toMatchObject({
      user: 'bert',
      scopes: ['read', 'run'],
    });
    // What the token was given beyond its user's role does not count.
    expect(await accounts.byToken(token.token)).toMatchObject({ user: 'bert', scopes: ['read'] });
    expect(await accounts.byToken(`${token.token}x`)).toBeUndefined();
    expect(await accounts.bySession('no')).toBeUndefined();
    await state.transaction((db) => accounts.changeUser(db, 'bert', { password: 'new' }));
    expect(await accounts.bySession(session)).toBeUndefined();
    expect(await accounts.byToken(token.token)).toBeDefined();
    await state.transaction((db) => accounts.changeUser(db, 'bert', { isDisabled: true }));
    expect(await accounts.byToken(token.token)).toBeUndefined();
    await state.transaction((db) => accounts.changeUser(db, 'bert', { isDisabled: false }));
    clock.suspend(3 * 86_400_000);
    expect(await accounts.byToken(token.token)).toBeUndefined();
    const again = await state.transaction((db) => accounts.openSession(db, 'anna'));
    clock.suspend(13 * 3_600_000);
    expect(await accounts.bySession(again)).toBeUndefined();
  });

  test('what is changed in the records of what was done is found', async () => {
    const bed = await open(await newDatabase());
    const { audit, state } = bed;
    const entry = { actor: 'user:anna', address: '::1', action: 'x', object: 'y' } as const;
    for (let i = 0; i < 5; i++) {
      await state.transaction((db) =>
        audit.add(db, { ...entry, decision: 'done', details: { i } }),
      );
    }
    expect(await audit.firstBroken()).toBeUndefined();
    const rows = state.db.updateTable('audit');
    await rows.set({ actor: 'user:eve' }).where('seq', '=', 3).execute();
    expect(await audit.firstBroken()).toBe(3);
    await rows.set({ actor: 'user:anna' }).where('seq', '=', 3).execute();
    expect(await audit.firstBroken()).toBeUndefined();
    await state.db.deleteFrom('audit').where('seq', '=', 2).execute();
    expect(await audit.firstBroken()).toBe(2);
  });

  test('a request that comes again is answered the same, and done once', async () => {
    const bed = await open(await newDatabase());
    const { idempotency, state } = bed;
    const request = { key: 'k', actor: 'user:anna', content: 'POST /x' };
    let count = 0;
    const work = async (): Promise<{ status: number; body: string }> => {
      count++;
      return { status: 201, body: 'a secret token' };
    };
    const failing = idempotency.once(request, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    const first = await idempotency.once(request, work);
    const second = await idempotency.once(request, work);
    expect([first.isReplayed, second.isReplayed, second.body, count]).toEqual([
      false,
      true,
      'a secret token',
      1,
    ]);
    const kept = await state.db.selectFrom('idempotency').selectAll().execute();
    expect(JSON.stringify(kept)).not.toContain('a secret token');
    const other = idempotency.once({ ...request, content: 'POST /y' }, work);
    await expect(other).rejects.toThrow(/used for another request/);
    await idempotency.once({ ...request, actor: 'user:bert' }, work);
    expect(count).toBe(2);
    clock.suspend(25 * 3_600_000);
    await idempotency.once(request, work);
    expect(count).toBe(3);
  });

  test('an alert is open as long as something is wrong, and begins anew after', async () => {
    const { alerts, ...bed } = await open(await newDatabase());
    const alert = { kind: 'overdue', object: 'd', message: 'm', sinceMs: 10 } as const;
    const page = { after: undefined, limit: 10 };
    await alerts.update([alert], 20);
    await alerts.update([{ ...alert, sinceMs: 15, message: 'n' }], 30);
    expect(await alerts.list({ isOpen: true }, page)).toMatchObject([
      { first_ms: 10, last_ms: 30, message: 'n' },
    ]);
    await alerts.update([], 40);
    expect(await alerts.openCount()).toBe(0);
    expect(await alerts.list({ isOpen: false }, page)).toMatchObject([{ resolved_ms: 40 }]);
    await alerts.update([{ ...alert, sinceMs: 45 }], 50);
    expect(await alerts.list({ isOpen: true }, page)).toMatchObject([{ first_ms: 45 }]);
    expect(bed).toBeDefined();
  });
});

test('where the state is', () => {
  expect(() => parseStateLocation('/var/lib/x.db')).toThrow('--database takes the URL');
  expect(parseStateLocation('postgresql://h/d').kind).toBe('postgres');
  expect(() => parseStateLocation('mysql://h/d')).toThrow(/takes the URL/);
});

test('a database that is not there is told without its password', async () => {
  const url = 'postgres://anna:geheim@127.0.0.1:1/none';
  const opened = State.open({ kind: 'postgres', url }, systemEnvironment);
  await expect(opened).rejects.toMatchObject({ code: 'STATE_FAILED' });
  await expect(opened).rejects.not.toThrow(/geheim/);
});

test('a key file is made once, for its owner alone; what is no key is refused', () => {
  const path = scratch.fresh('key');
  const key = openKeyFile(path, systemRandom);
  expect(openKeyFile(path, systemRandom)).toEqual(key);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
  const other = scratch.fresh('key');
  writeFileSync(other, 'hello');
  expect(() => openKeyFile(other, systemRandom)).toThrow(/holds no key/);
});

describeWith(['postgres'], 'a connection to PostgreSQL', () => {
  test('that breaks between two queries of a transaction fails the transaction, not the server', async () => {
    const postgres = await startPostgres(scratch.fresh('postgres'));
    try {
      await postgres.createDatabase('state');
      const bed = await open({ kind: 'postgres', url: postgres.url('state') });
      const broken = bed.state.transaction(async (db) => {
        await bed.state.sharedNowMs(db);
        // All that its end tells has arrived once another connection is refused.
        await postgres.stop();
        await expect(bed.state.sharedNowMs()).rejects.toThrow();
        await bed.state.sharedNowMs(db);
      });
      await expect(broken).rejects.toThrow();
      await postgres.start();
      const { rows } = await sql`select 1 as one`.execute(bed.state.db);
      expect(rows).toEqual([{ one: 1 }]);
    } finally {
      await postgres.stop();
    }
  });
});
