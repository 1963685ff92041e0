import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeNeeding, needs } from '../../../test/tools/peers.ts';
import { type CommandRun, runCommand } from '../../../test/tools/in-process.ts';
import { type PostgresServer, startPostgres } from '../../../test/tools/postgres.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { openDataFolder } from '../data-folder.ts';
import { StateBed } from '../server-test-support.ts';
import { checkKey } from './key-check.ts';
import type { StateLocation } from './state.ts';

/** The command that moves a server's state, between real databases. */

const scratch = scratchFolder('move-server');
const key = `${'07'.repeat(32)}\n`;

function folderWithKey(text = key): string {
  const path = scratch.fresh('data');
  mkdirSync(path);
  writeFileSync(join(path, 'secret.key'), text, { mode: 0o600 });
  return path;
}

function fileOf(folder: string): StateLocation {
  return { kind: 'sqlite', path: join(folder, 'state.db') };
}

const planned = { reason: 'schedule', startedBy: 'schedule', attempt: 1 } as const;

function openBed(location: StateLocation): Promise<StateBed> {
  return StateBed.open(location, systemEnvironment.clock);
}

/** Something in each table, and more rows than are read at once. */
async function fill(location: StateLocation): Promise<void> {
  const bed = await openBed(location);
  const { state, accounts, audit, runs, sealer } = bed;
  await checkKey(state, sealer, false);
  await bed.addEstate({}, ['documents', 'Äpfel "und" Birnen', 'zebra']);
  await state.transaction((db) => accounts.addFirst(db, { name: 'anna', password: 'hash' }));
  await state.transaction((db) => accounts.openSession(db, 'anna'));
  await state.transaction(async (db) => {
    for (let number = 0; number < 1200; number += 1) {
      await audit.add(db, {
        actor: 'user:anna',
        address: '127.0.0.1',
        action: 'test',
        object: `line\n${number} 🙂 '"\\`,
        decision: 'done',
        details: { number, empty: '' },
      });
    }
  });
  for (const duty of await bed.duties()) {
    const slotMs = 2 ** 45;
    await state.transaction((db) => runs.add(db, { duty, slotMs, ...planned }));
  }
  await bed.close();
}

function sortedByName(row: object): [string, unknown][] {
  return Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** All rows of all tables, in an order of their own. */
async function contents(location: StateLocation): Promise<Record<string, string[]>> {
  const bed = await openBed(location);
  const { db } = bed.state;
  const found: Record<string, string[]> = {};
  for (const { name } of await db.introspection.getTables()) {
    const { rows } = await sql<object>`select * from ${sql.table(name)}`.execute(db);
    found[name] = rows.map((row) => JSON.stringify(sortedByName(row))).toSorted();
  }
  expect(await bed.audit.firstBroken()).toBe(undefined);
  await bed.close();
  return found;
}

function printOf(folder: string): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'state.db')))
    .digest('hex');
}

function move(from: string, to: string): Promise<CommandRun> {
  const args = ['move-state', '--from', from, '--to', to, '--json'];
  return runCommand(args, { variables: {}, environment: systemEnvironment });
}

async function refused(from: string, to: string): Promise<string> {
  const { exitCode, output, errors } = await move(from, to);
  expect(exitCode).toBe(1);
  return output + errors;
}

test('what cannot be moved is refused, and nothing is made', async () => {
  expect(await refused(scratch.fresh('none'), folderWithKey())).toContain('there is no folder');
  expect(await refused(folderWithKey(), folderWithKey())).toContain('there is no state');
  const folder = folderWithKey();
  expect(await refused(folder, folder)).toContain('is there already');
  expect(await refused(folder, 'mysql://host/name')).toContain('postgres://USER@HOST/NAME');
  await fill(fileOf(folder));
  const bare = scratch.fresh('bare');
  expect(await refused(folder, bare)).toContain('is not in its new folder');
  const other = folderWithKey(`${'08'.repeat(32)}\n`);
  expect(await refused(folder, other)).toMatch(/cannot be opened/);
  const used = folderWithKey();
  const server = openDataFolder(folder);
  expect(await refused(folder, used)).toContain('another server uses the folder');
  server.close();
  expect((await move(folder, used)).exitCode).toBe(0);
  expect(await refused(folder, used)).toContain('is not empty');
  expect(await contents(fileOf(used))).toEqual(await contents(fileOf(folder)));
});

describeNeeding('postgres')(`with PostgreSQL${needs('postgres')}`, () => {
  let postgres: PostgresServer;
  let count = 0;
  beforeAll(async () => {
    postgres = await startPostgres(scratch.fresh('postgres'));
  });
  afterAll(() => postgres.stop());

  async function newDatabase(): Promise<{ url: string; location: StateLocation }> {
    const name = `moved-${count++}`;
    await postgres.createDatabase(name);
    const url = postgres.url(name);
    return { url, location: { kind: 'postgres', url } };
  }

  test('a state goes there and back, and every row is what it was', async () => {
    const folder = folderWithKey();
    await fill(fileOf(folder));
    const before = await contents(fileOf(folder));
    const print = printOf(folder);
    const { url, location } = await newDatabase();
    const { exitCode, output } = await move(folder, url);
    expect([exitCode, JSON.parse(output)]).toEqual([
      0,
      expect.objectContaining({
        message_type: 'moved',
        tables: expect.objectContaining({ audit: 1200, sources: 3, users: 1, runs: 3 }),
      }),
    ]);
    expect(printOf(folder)).toBe(print);
    expect(await contents(location)).toEqual(before);
    const back = folderWithKey();
    expect((await move(url, back)).exitCode).toBe(0);
    expect(await contents(fileOf(back))).toEqual(before);
    // What was sealed opens with the same key.
    const bed = await openBed(fileOf(back));
    const row = await bed.estate.getRepository('main');
    expect(bed.estate.secretsOf(row).password).toBe('a secret password');
    await bed.close();
    expect(await refused(folder, url)).toContain('is not empty');
  });

  test('a server that runs on either database is in the way, until it is gone', async () => {
    const folder = folderWithKey();
    await fill(fileOf(folder));
    const { url, location } = await newDatabase();
    const bed = await openBed(location);
    const lease = await bed.leases.open('host/1');
    expect(await refused(url, folderWithKey())).toContain('a server runs on the database');
    expect(await refused(folder, url)).toContain('is not empty');
    await bed.state.db.deleteFrom('settings').execute();
    expect(await refused(folder, url)).toMatch(/is not empty|a server runs/);
    await bed.leases.close(lease);
    await bed.close();
    expect((await move(folder, url)).exitCode).toBe(0);
  });

  test('a copy that fails amid its work leaves the target empty', async () => {
    const folder = folderWithKey();
    await fill(fileOf(folder));
    const { url, location } = await newDatabase();
    const bed = await openBed(location);
    // A database that changes what is written to it: only comparing finds that.
    await sql`create function bend_user() returns trigger language plpgsql as
      $$ begin new.role := 'viewer'; return new; end $$`.execute(bed.state.db);
    await sql`create trigger bent before insert on users
      for each row execute function bend_user()`.execute(bed.state.db);
    expect(await refused(folder, url)).toContain('is not what was read');
    const { audit } = await contents(location);
    expect(audit).toEqual([]);
    await sql`drop trigger bent on users`.execute(bed.state.db);
    await bed.close();
    expect((await move(folder, url)).exitCode).toBe(0);
  });
});
