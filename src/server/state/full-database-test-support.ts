import { sql } from 'kysely';
import type { State } from './state.ts';

/** For tests: an SQLite database that is full as soon as a run is to end. @returns what makes room again */
export async function fillAtEnds({ db }: State): Promise<() => Promise<void>> {
  await sql`create trigger full before update on runs when new.state = 'ended'
    begin select raise(abort, 'database or disk is full'); end`.execute(db);
  return async () => {
    await sql`drop trigger full`.execute(db);
  };
}
