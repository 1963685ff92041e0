import type { Carrier, RunStore } from './run-store.ts';
import type { State } from './state.ts';

/** How long a lease holds without being renewed, in milliseconds. Longer than a machine that is busy stands still. */
export const leaseMs = 30_000;

const counterName = 'fence';

/**
 * The servers that share a state. Each has a lease of its own; what a server that lost its lease still writes counts no more, and
 * what it had under way is ended by whoever sees that first.
 */
export class LeaseStore {
  readonly #state: State;
  readonly #runs: RunStore;

  constructor(state: State, runs: RunStore) {
    this.#state = state;
    this.#runs = runs;
  }

  /** Begins to carry out runs. The token is higher than all before. */
  open(holder: string): Promise<Carrier> {
    return this.#state.transaction(async (db) => {
      await db
        .insertInto('settings')
        .values({ name: counterName, value: '0' })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      // The first change holds the row, so that two that open at once get different tokens.
      await db
        .updateTable('settings')
        .set(({ eb }) => ({ value: eb.ref('value') }))
        .where('name', '=', counterName)
        .execute();
      const { value } = await db
        .selectFrom('settings')
        .select('value')
        .where('name', '=', counterName)
        .executeTakeFirstOrThrow();
      const fence = Number(value) + 1;
      await db
        .updateTable('settings')
        .set({ value: String(fence) })
        .where('name', '=', counterName)
        .execute();
      const name = `server-${fence}`;
      const expires = (await this.#state.sharedNowMs(db)) + leaseMs;
      await db
        .insertInto('leases')
        .values({ name, holder, token: fence, expires_ms: expires })
        .execute();
      return { server: name, fence };
    });
  }

  /** @returns false if the lease was lost: then all that runs under it must stop */
  async renew({ server, fence }: Carrier): Promise<boolean> {
    const now = await this.#state.sharedNowMs();
    const { numUpdatedRows } = await this.#state.db
      .updateTable('leases')
      .set({ expires_ms: now + leaseMs })
      .where('name', '=', server)
      .where('token', '=', fence)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  }

  /** Ends a lease in order, and what still runs under it. */
  close({ server }: Carrier): Promise<void> {
    return this.#state.transaction(async (db) => {
      await db.deleteFrom('leases').where('name', '=', server).execute();
      await this.#runs.interrupt(db, server);
    });
  }

  /**
   * Ends what servers had under way whose leases are over. @param isAlone no other server can be there: all leases but `own` are
   * over, whatever they say
   * @returns how many runs were interrupted
   */
  async sweep(own: Carrier, isAlone: boolean): Promise<number> {
    const now = await this.#state.sharedNowMs();
    const over = await this.#state.db
      .selectFrom('leases')
      .select('name')
      .where('name', '!=', own.server)
      .$if(!isAlone, (query) => query.where('expires_ms', '<', now))
      .execute();
    let count = 0;
    for (const { name } of over) {
      count += await this.#state.transaction(async (db) => {
        const { numDeletedRows } = await db
          .deleteFrom('leases')
          .where('name', '=', name)
          .$if(!isAlone, (query) => query.where('expires_ms', '<', now))
          .executeTakeFirst();
        return numDeletedRows === 1n ? this.#runs.interrupt(db, name) : 0;
      });
    }
    return count;
  }
}
