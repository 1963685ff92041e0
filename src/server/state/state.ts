import { Kysely, PostgresDialect, SqliteDialect, sql, type Transaction } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import { exists } from '../../platform/folders.ts';
import { migrations as released } from './migrations.ts';
import { copySqlite, openSqlite, readSqlite } from './sqlite-database.ts';
import type { Tables } from './tables.ts';

/** Where the state is: a file, or a PostgreSQL database. */
export type StateLocation =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `postgres://user@host/name`; may hold a password, which is never told. */
  | { readonly kind: 'postgres'; readonly url: string };

/** Connections to PostgreSQL at most. */
const connectionCountMax = 10;

/** How long a connection to PostgreSQL may take to come, in milliseconds. */
const connectMsMax = 10_000;

/** What the server knows: intent (repositories, policies, sources, users) and history. */
export class State {
  readonly db: Kysely<Tables>;
  readonly kind: StateLocation['kind'];
  readonly environment: Environment;

  private constructor(db: Kysely<Tables>, kind: StateLocation['kind'], environment: Environment) {
    this.db = db;
    this.kind = kind;
    this.environment = environment;
  }

  /**
   * Opens the state and brings its tables to this version. Of an SQLite file that needs it a copy is kept beside it before.
   *
   * @param migrations for tests: those of this version
   * @throws STATE_FAILED if it cannot be reached, is of a newer version, or cannot be migrated
   */
  static async open(
    location: StateLocation,
    environment: Environment,
    migrations: Readonly<Record<string, Migration>> = released,
  ): Promise<State> {
    const wasThere = location.kind === 'sqlite' && exists(Buffer.from(location.path));
    const db = await connect(location);
    try {
      const migrator = new Migrator({
        db,
        provider: { getMigrations: async () => ({ ...migrations }) },
      });
      const known = await migrator.getMigrations();
      const missing = known.filter(({ executedAt }) => executedAt === undefined);
      if (wasThere && missing.length > 0 && missing.length < known.length) {
        keepCopy(location.path, known.find(({ executedAt }) => executedAt === undefined)?.name);
      }
      const { error } = await migrator.migrateToLatest();
      if (error !== undefined) throw error;
      return new State(db, location.kind, environment);
    } catch (error) {
      await db.destroy();
      throw stateFailure('the tables of the server cannot be brought to this version', error);
    }
  }

  /** Does all of `work` or nothing of it. Short: no other work is done in it. */
  transaction<T>(work: (db: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.db.transaction().execute(work);
  }

  /** Milliseconds since 1970 by the clock that all servers of this state share. */
  async sharedNowMs(db: Kysely<Tables> = this.db): Promise<number> {
    if (this.kind === 'sqlite') return this.environment.clock.wallMs();
    const query = sql<{
      ms: number;
    }>`select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms`;
    const [row] = (await query.execute(db)).rows;
    if (!row) throw new HoldfastError('STATE_FAILED', { message: 'the database tells no time' });
    return row.ms;
  }

  close(): Promise<void> {
    return this.db.destroy();
  }
}

/**
 * Connects to a state as it is.
 * @param mayChange false: of an SQLite file, which must be there, nothing is changed
 * @throws STATE_FAILED
 */
export async function connect(location: StateLocation, mayChange = true): Promise<Kysely<Tables>> {
  if (location.kind === 'sqlite') {
    try {
      const database = mayChange ? openSqlite(location.path) : readSqlite(location.path);
      return new Kysely({ dialect: new SqliteDialect({ database }) });
    } catch (error) {
      throw stateFailure('the database of the server cannot be opened', error);
    }
  }
  // Loaded where it is used: most servers have none.
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: location.url,
    max: connectionCountMax,
    connectionTimeoutMillis: connectMsMax,
    types: {
      // What the client gives as text, since it could be any size: times and tokens stay far below 2^53.
      getTypeParser: (oid, format) =>
        oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format),
    },
  });
  // A connection that breaks while nobody uses it is made anew; who uses it gets the error.
  pool.on('error', () => {});
  // So does who has it for a transaction, but only of a query under way: between two of them the error has nobody else.
  pool.on('connect', (client) => client.on('error', () => {}));
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}

/** @throws STATE_FAILED */
function keepCopy(path: string, before: string | undefined): void {
  const copy = `${path}.before-${before ?? ''}`;
  if (!exists(Buffer.from(copy))) copySqlite(path, copy);
}

/** Messages of databases name tables and values, and connection strings hold passwords: only the cause's first line is kept. */
export function stateFailure(message: string, cause: unknown): HoldfastError {
  if (cause instanceof HoldfastError) return cause;
  const [line = ''] = cause instanceof Error ? cause.message.split('\n') : [];
  return new HoldfastError('STATE_FAILED', { message, cause: new Error(line) });
}

/**
 * Reads the value of `--database`, which may hold a password: it is in no message.
 * @throws USAGE
 */
export function parseStateLocation(text: string): StateLocation {
  if (/^postgres(ql)?:\/\//.test(text)) return { kind: 'postgres', url: text };
  // A file elsewhere would not be held by the lock of the folder: two servers could share it.
  throw new HoldfastError('USAGE', {
    message: '--database takes the URL of a PostgreSQL database',
    hint: 'Use postgres://USER@HOST/NAME; an SQLite file is kept in the folder of --data.',
  });
}
