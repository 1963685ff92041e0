import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Migrations by name, in the order of their names. One that was released is never changed: a new one follows it. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': { up: first },
};

/** Both databases know these types; times, sizes and tokens need more than 32 bits. */
const wide = 'bigint';

// The schema of a migration is that of its time, which no type here has.
async function first(db: Kysely<unknown>): Promise<void> {
  await createEstate(db);
  await createRuns(db);
  await createAccounts(db);
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('leases')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('token', wide, (c) => c.notNull())
    .addColumn('expires_ms', wide, (c) => c.notNull())
    .execute();
}

async function createEstate(db: Kysely<unknown>): Promise<void> {
  for (const name of ['repositories', 'policies', 'sources']) {
    let table = db.schema
      .createTable(name)
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('entry', 'text', (c) => c.notNull())
      .addColumn('created_ms', wide, (c) => c.notNull())
      .addColumn('changed_ms', wide, (c) => c.notNull());
    if (name === 'repositories') {
      table = table
        .addColumn('secrets', 'text', (c) => c.notNull())
        .addColumn('repository_id', 'text', (c) => c.notNull());
    }
    await table.execute();
  }
  await db.schema
    .createTable('duties')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('record', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('alerts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('object', 'text', (c) => c.notNull())
    .addColumn('message', 'text', (c) => c.notNull())
    .addColumn('first_ms', wide, (c) => c.notNull())
    .addColumn('last_ms', wide, (c) => c.notNull())
    .addColumn('resolved_ms', wide)
    .execute();
}

async function createRuns(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('runs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('duty', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('source', 'text')
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('resources', 'text', (c) => c.notNull())
    .addColumn('request', 'text')
    .addColumn('priority', 'integer', (c) => c.notNull())
    .addColumn('slot_ms', wide, (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('started_by', 'text', (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text')
    .addColumn('queued_ms', wide, (c) => c.notNull())
    .addColumn('started_ms', wide)
    .addColumn('ended_ms', wide)
    .addColumn('summary', 'text')
    .addColumn('progress', 'text')
    .addColumn('problems', 'text')
    .addColumn('problem_count', 'integer', (c) => c.notNull())
    .addColumn('snapshot_id', 'text')
    .addColumn('error_code', 'text')
    .addColumn('cancel_ms', wide)
    .addColumn('cancelled_by', 'text')
    .addColumn('server', 'text')
    .addColumn('fence', wide)
    .addColumn('revision', 'integer', (c) => c.notNull())
    .execute();
  for (const column of ['state', 'duty', 'source']) {
    await db.schema.createIndex(`runs_${column}`).on('runs').columns([column, 'id']).execute();
  }
  await db.schema
    .createTable('run_logs')
    .addColumn('run', 'text', (c) => c.notNull())
    .addColumn('seq', 'integer', (c) => c.notNull())
    .addColumn('at_ms', wide, (c) => c.notNull())
    .addColumn('level', 'text', (c) => c.notNull())
    .addColumn('text', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('run_logs_key', ['run', 'seq'])
    .execute();
  await db.schema
    .createTable('slots')
    .addColumn('duty', 'text', (c) => c.notNull())
    .addColumn('slot_ms', wide, (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('run', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('slots_key', ['duty', 'slot_ms', 'attempt'])
    .execute();
  await db.schema
    .createTable('busy')
    .addColumn('resource', 'text', (c) => c.primaryKey())
    .addColumn('run', 'text', (c) => c.notNull())
    .execute();
}

async function createAccounts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('users')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('password', 'text', (c) => c.notNull())
    .addColumn('is_disabled', 'integer', (c) => c.notNull())
    .addColumn('created_ms', wide, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('sessions')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('user', 'text', (c) => c.notNull())
    .addColumn('created_ms', wide, (c) => c.notNull())
    .addColumn('used_ms', wide, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('tokens')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('hash', 'text', (c) => c.notNull().unique())
    .addColumn('user', 'text', (c) => c.notNull())
    .addColumn('label', 'text', (c) => c.notNull())
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_ms', wide, (c) => c.notNull())
    .addColumn('expires_ms', wide, (c) => c.notNull())
    .addColumn('used_ms', wide)
    .execute();
  await db.schema
    .createTable('audit')
    .addColumn('seq', wide, (c) => c.primaryKey())
    .addColumn('at_ms', wide, (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('object', 'text', (c) => c.notNull())
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('details', 'text', (c) => c.notNull())
    .addColumn('previous', 'text', (c) => c.notNull())
    .addColumn('hash', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('idempotency')
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('request', 'text', (c) => c.notNull())
    .addColumn('status', 'integer')
    .addColumn('answer', 'text')
    .addColumn('created_ms', wide, (c) => c.notNull())
    .addPrimaryKeyConstraint('idempotency_key', ['key', 'actor'])
    .execute();
}
