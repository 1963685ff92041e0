import type { Page } from './estate-store.ts';
import type { State } from './state.ts';
import type { AlertRow } from './tables.ts';

/** Something that is wrong now. */
export interface CurrentAlert {
  readonly kind: 'overdue';
  /** The id of a duty. */
  readonly object: string;
  readonly message: string;
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** What is wrong, and what was. */
export class AlertStore {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** Notes what is wrong now; what was wrong and is not any more is resolved. */
  update(current: readonly CurrentAlert[], nowMs: number): Promise<void> {
    return this.#state.transaction(async (db) => {
      const open = await db
        .selectFrom('alerts')
        .selectAll()
        .where('resolved_ms', 'is', null)
        .execute();
      const ids = new Set(current.map(idOf));
      for (const { id } of open.filter((alert) => !ids.has(alert.id))) {
        await db.updateTable('alerts').set({ resolved_ms: nowMs }).where('id', '=', id).execute();
      }
      for (const alert of current) {
        const { kind, object, message, sinceMs } = alert;
        const known = open.find(({ id }) => id === idOf(alert));
        const values = { message, last_ms: nowMs };
        await db
          .insertInto('alerts')
          .values({ id: idOf(alert), kind, object, first_ms: sinceMs, ...values })
          .onConflict((conflict) =>
            conflict
              .column('id')
              .doUpdateSet({ ...values, resolved_ms: null, first_ms: known?.first_ms ?? sinceMs }),
          )
          .execute();
      }
    });
  }

  /** One page, by their ids. */
  list(
    { isOpen }: { readonly isOpen: boolean | undefined },
    { after, limit }: Page,
  ): Promise<AlertRow[]> {
    return this.#state.db
      .selectFrom('alerts')
      .selectAll()
      .$if(isOpen === true, (query) => query.where('resolved_ms', 'is', null))
      .$if(isOpen === false, (query) => query.where('resolved_ms', 'is not', null))
      .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
      .orderBy('id')
      .limit(limit)
      .execute();
  }

  /** How many things are wrong now. */
  async openCount(): Promise<number> {
    const { count } = await this.#state.db
      .selectFrom('alerts')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('resolved_ms', 'is', null)
      .executeTakeFirstOrThrow();
    return count;
  }
}

function idOf({ kind, object }: CurrentAlert): string {
  return `${kind} ${object}`;
}
