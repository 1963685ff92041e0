import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { closeFile, openFile } from '../../platform/file-calls.ts';
import type { SqliteDatabase, SqliteStatement } from 'kysely';

/** How long a statement waits for another process that writes, such as one that takes a copy. */
const busyMsMax = 10_000;

/**
 * Opens an SQLite file with the runtime's own SQLite, in the form that Kysely's dialect takes. What a transaction stored is on
 * stable storage when its commit returns.
 */
export function openSqlite(path: string): SqliteDatabase {
  // Others may not read what it holds, nor the files that SQLite makes beside it, which get the same permissions.
  closeFile(openFile(Buffer.from(path), { write: true, create: true, mode: 0o600 }));
  const database = new DatabaseSync(path, { timeout: busyMsMax });
  for (const pragma of [
    'journal_mode = WAL',
    'synchronous = FULL',
    'foreign_keys = ON',
    'trusted_schema = OFF',
  ]) {
    database.exec(`PRAGMA ${pragma}`);
  }
  return databaseOf(database);
}

/** Opens an SQLite file that is there, to read it. */
export function readSqlite(path: string): SqliteDatabase {
  return databaseOf(new DatabaseSync(path, { readOnly: true, timeout: busyMsMax }));
}

function databaseOf(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare: (sql) => statementOf(database.prepare(sql)),
  };
}

/** Stores a copy of an SQLite file as it is now, whole, in a file that must not be there. */
export function copySqlite(from: string, to: string): void {
  const database = new DatabaseSync(from, { readOnly: true, timeout: busyMsMax });
  try {
    database.prepare('VACUUM INTO ?').run(to);
  } finally {
    database.close();
  }
}

function statementOf(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...bound(parameters)),
    run: (parameters) => statement.run(...bound(parameters)),
    iterate: (parameters) => statement.iterate(...bound(parameters)),
  };
}

/** The dialect binds what the queries give: texts, numbers and null. */
function bound(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters as SQLInputValue[];
}
