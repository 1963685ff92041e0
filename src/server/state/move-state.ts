import { createHash } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import { exists } from '../../platform/folders.ts';
import { assertKeyOf } from './key-check.ts';
import { migrations } from './migrations.ts';
import type { Sealer } from './seal.ts';
import { connect, State, stateFailure, type StateLocation } from './state.ts';
import type { Tables } from './tables.ts';

/** What a table held and holds now. */
export interface MovedTable {
  readonly name: string;
  readonly rowCount: number;
}

/** How a state is moved. */
export interface MoveOptions {
  readonly environment: Environment;
  /** The key beside the target, which must be the one that sealed the secrets. */
  readonly keyOfTarget?: Sealer | undefined;
}

type Row = Record<string, unknown>;

/** Rows that are read and written at once. */
const rowCountMax = 500;

/** Values of one statement at most: SQLite takes 32766. */
const valueCountMax = 30_000;

/** How long to wait for a table that somebody else changes. */
const lockMsMax = 10_000;

const cursorName = 'moved_rows';

/**
 * Copies all tables of a state as they were at one moment into one that is empty, in one transaction, and compares what is there then
 * with what was read. The source stays as it is. Who calls holds the folders of both, where they have one.
 *
 * @throws SECRET_NOT_OPENED if the target has another key; STATE_FAILED if the source is of another version, or what was
 *   written is not what was read: the target is empty then; STATE_CONFLICT if a server runs on either, or the target is not empty
 */
export async function moveState(
  from: StateLocation,
  to: StateLocation,
  { environment, keyOfTarget }: MoveOptions,
): Promise<MovedTable[]> {
  if (from.kind === 'sqlite' && !exists(Buffer.from(from.path))) throw missingState();
  const source = await connect(from, false);
  try {
    await assertSameVersion(source);
    if (keyOfTarget) await assertKeyOf(source, keyOfTarget);
    const target = await State.open(to, environment);
    try {
      const names = await tableNames(target.db);
      await assertEmpty(target.db, names);
      return await atOneMoment(source, from.kind, async (read) => {
        await assertNoServer(read, from.kind, 'from which the state is to be moved');
        const write = (db: Transaction<Tables>): Promise<MovedTable[]> =>
          copyTables({ from: read, fromKind: from.kind }, { to: db, toKind: to.kind }, names);
        return target.db.transaction().execute(write);
      });
    } finally {
      await target.close();
    }
  } catch (error) {
    throw stateFailure('the state cannot be moved', error);
  } finally {
    await source.destroy();
  }
}

interface Source {
  readonly from: Transaction<Tables>;
  readonly fromKind: StateLocation['kind'];
}

interface Target {
  readonly to: Transaction<Tables>;
  readonly toKind: StateLocation['kind'];
}

async function copyTables(
  { from, fromKind }: Source,
  { to, toKind }: Target,
  names: readonly string[],
): Promise<MovedTable[]> {
  await lockTables(to, toKind, names);
  await assertNoServer(to, toKind, 'to which the state is to be moved');
  await assertEmpty(to, names);
  const moved: MovedTable[] = [];
  for (const name of names) {
    const read = new Digest();
    for await (const rows of readRows(from, fromKind, name)) {
      for (const row of rows) read.add(row);
      await insertRows(to, name, rows);
    }
    const written = new Digest();
    for await (const rows of readRows(to, toKind, name)) for (const row of rows) written.add(row);
    if (!written.equals(read)) {
      throw new HoldfastError('STATE_FAILED', {
        message: `what was written to the table "${name}" is not what was read`,
      });
    }
    moved.push({ name, rowCount: read.rowCount });
  }
  return moved;
}

/** Does `work` in a transaction that sees the state as it is when it begins, and lets nobody change it. */
function atOneMoment<T>(
  db: Kysely<Tables>,
  kind: StateLocation['kind'],
  work: (db: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  // SQLite reads one state in any transaction.
  if (kind === 'sqlite') return db.transaction().execute(work);
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (transaction) => {
      await lockTables(transaction, kind, await tableNames(db));
      return work(transaction);
    });
}

/** Lets nobody change tables until the transaction ends: a server that starts now waits. */
async function lockTables(
  db: Transaction<Tables>,
  kind: StateLocation['kind'],
  names: readonly string[],
): Promise<void> {
  // The folder of an SQLite file is held.
  if (kind === 'sqlite') return;
  await sql`select set_config('lock_timeout', ${String(lockMsMax)}, true)`.execute(db);
  const tables = sql.join(names.map((name) => sql.table(name)));
  await sql`lock table ${tables} in share row exclusive mode`.execute(db);
}

/** @throws STATE_CONFLICT */
async function assertNoServer(
  db: Transaction<Tables>,
  kind: StateLocation['kind'],
  which: string,
): Promise<void> {
  // Who has the folder of an SQLite file knows that no server does.
  if (kind === 'sqlite') return;
  const now = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
  const lease = await db
    .selectFrom('leases')
    .select('holder')
    .where('expires_ms', '>', now)
    .executeTakeFirst();
  if (!lease) return;
  throw new HoldfastError('STATE_CONFLICT', {
    message: `a server runs on the database ${which}: ${lease.holder}`,
    hint: 'Stop it first. One that was killed counts as gone after half a minute.',
  });
}

/** @throws STATE_CONFLICT */
async function assertEmpty(db: Kysely<Tables>, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { rows } = await sql`select 1 from ${sql.table(name)} limit 1`.execute(db);
    if (rows.length === 0) continue;
    throw new HoldfastError('STATE_CONFLICT', {
      message: `the database to which the state is to be moved is not empty: its table "${name}" has rows`,
      hint: 'Name a database of its own. Nothing was changed.',
    });
  }
}

/** @throws STATE_FAILED */
async function assertSameVersion(db: Kysely<Tables>): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === 'kysely_migration')) throw missingState();
  const query = sql<{ name: string }>`select name from kysely_migration`;
  const done = new Set((await query.execute(db)).rows.map(({ name }) => name));
  const known = Object.keys(migrations);
  if (done.size === known.length && known.every((name) => done.has(name))) return;
  throw new HoldfastError('STATE_FAILED', {
    message: 'the state to be moved is of another version than this program',
    hint: 'Start "holdfast serve" of this version on it once, and stop it.',
  });
}

function missingState(): HoldfastError {
  return new HoldfastError('STATE_FAILED', {
    message: 'there is no state of a server to be moved',
  });
}

/** Names of all tables, sorted. */
async function tableNames(db: Kysely<Tables>): Promise<string[]> {
  const tables = (await db.introspection.getTables()).filter(({ isView }) => !isView);
  const isSqlite = tables.every(({ schema }) => schema === undefined);
  const current = isSqlite ? undefined : await currentSchema(db);
  return tables.flatMap(({ name, schema }) => (schema === current ? [name] : [])).toSorted();
}

async function currentSchema(db: Kysely<Tables>): Promise<string | undefined> {
  const query = sql<{ name: string }>`select current_schema() as name`;
  return (await query.execute(db)).rows[0]?.name;
}

/** All rows of a table, some at a time. */
async function* readRows(
  db: Transaction<Tables>,
  kind: StateLocation['kind'],
  name: string,
): AsyncGenerator<Row[]> {
  if (kind === 'sqlite') {
    yield* readSqliteRows(db, name);
    return;
  }
  const cursor = sql.id(cursorName);
  await sql`declare ${cursor} cursor for select * from ${sql.table(name)}`.execute(db);
  for (;;) {
    const { rows } = await sql<Row>`fetch ${sql.lit(rowCountMax)} from ${cursor}`.execute(db);
    if (rows.length === 0) break;
    yield rows;
  }
  await sql`close ${cursor}`.execute(db);
}

/** By the row ids of SQLite: each piece is one statement, as what is read is written to meanwhile. */
async function* readSqliteRows(db: Transaction<Tables>, name: string): AsyncGenerator<Row[]> {
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const { rows } = await sql<Row & { readonly moved_row: number }>`
      select rowid as moved_row, * from ${sql.table(name)}
      where rowid > ${after} order by rowid limit ${rowCountMax}`.execute(db);
    const last = rows.at(-1);
    if (!last) return;
    after = last.moved_row;
    yield rows.map(withoutRowId);
  }
}

function withoutRowId(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'moved_row'));
}

async function insertRows(
  db: Transaction<Tables>,
  name: string,
  rows: readonly Row[],
): Promise<void> {
  const columns = Object.keys(rows[0] ?? {});
  const atOnce = Math.max(1, Math.floor(valueCountMax / Math.max(1, columns.length)));
  for (let at = 0; at < rows.length; at += atOnce) {
    const values = rows
      .slice(at, at + atOnce)
      .map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`);
    const into = sql`${sql.table(name)} (${sql.join(columns.map((column) => sql.ref(column)))})`;
    await sql`insert into ${into} values ${sql.join(values)}`.execute(db);
  }
}

/** What rows hold, in whatever order they come: databases sort texts differently. */
class Digest {
  rowCount = 0;
  #sum = 0n;

  add(row: Row): void {
    const fields = Object.entries(row)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, value instanceof Uint8Array ? [...value] : value]);
    const hash = createHash('sha256').update(JSON.stringify(fields)).digest('hex');
    this.#sum = BigInt.asUintN(256, this.#sum + BigInt(`0x${hash}`));
    this.rowCount += 1;
  }

  equals(other: Digest): boolean {
    return this.rowCount === other.rowCount && this.#sum === other.#sum;
  }
}
