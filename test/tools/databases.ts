import { afterAll, beforeAll, describe } from 'vitest';
import type { StateLocation } from '../../src/server/state/state.ts';
import { describeNeeding, needs } from './peers.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import type { Scratch } from './scratch.ts';

/** A database for the state of a server: a new one at each call. */
export type NewDatabase = () => Promise<StateLocation>;

/** The same tests on SQLite and on a PostgreSQL server of their own. */
export function eachDatabase(scratch: Scratch, suite: (newDatabase: NewDatabase) => void): void {
  describe('on SQLite', () => {
    suite(async () => ({ kind: 'sqlite', path: scratch.fresh('state.db') }));
  });
  describeNeeding('postgres')(`on PostgreSQL${needs('postgres')}`, () => {
    let server: PostgresServer;
    let count = 0;
    beforeAll(async () => {
      server = await startPostgres(scratch.fresh('postgres'));
    });
    afterAll(() => server.stop());
    suite(async () => {
      const name = `state-${count++}`;
      await server.createDatabase(name);
      return { kind: 'postgres', url: server.url(name) };
    });
  });
}
