import { utf8 } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';
import type { Page } from './estate-store.ts';
import type { State } from './state.ts';
import type { AuditRow, Queries } from './tables.ts';

/** Something that somebody did, or was kept from doing. Nothing in it is a secret. */
export interface AuditEntry {
  /** `user:anna`, `token:ID`, `nobody`. */
  readonly actor: string;
  readonly address: string;
  /** As `sign-in`, `add-repository`. */
  readonly action: string;
  /** What it was done to, by name or id. */
  readonly object: string;
  readonly decision: 'done' | 'refused';
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

const headName = 'audit-head';

/**
 * Who did what. Each record has the hash of the one before, so that one which is changed, removed or put in between is found; that
 * the newest are cut off is not.
 */
export class AuditStore {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** Adds a record, in the transaction of what it tells. */
  async add(db: Queries, entry: AuditEntry): Promise<void> {
    await db
      .insertInto('settings')
      .values({ name: headName, value: '' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    // On PostgreSQL this holds the row: records follow one another whoever adds them.
    await db
      .updateTable('settings')
      .set((build) => ({ value: build.ref('value') }))
      .where('name', '=', headName)
      .execute();
    const last = await db
      .selectFrom('audit')
      .select(['seq', 'hash'])
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    const content = {
      seq: (last?.seq ?? 0) + 1,
      at_ms: this.#state.environment.clock.wallMs(),
      actor: entry.actor,
      address: entry.address,
      action: entry.action,
      object: entry.object,
      decision: entry.decision,
      details: JSON.stringify(entry.details ?? {}),
      previous: last?.hash ?? '',
    };
    await db
      .insertInto('audit')
      .values({ ...content, hash: auditHash(content) })
      .execute();
  }

  /** One page, the newest first. */
  list({ after, limit }: Page<number>): Promise<AuditRow[]> {
    return this.#state.db
      .selectFrom('audit')
      .selectAll()
      .$if(after !== undefined, (query) => query.where('seq', '<', after ?? 0))
      .orderBy('seq', 'desc')
      .limit(limit)
      .execute();
  }

  /** Follows the chain from its first record. @returns the number of the first that is wrong, or undefined */
  async firstBroken(): Promise<number | undefined> {
    let previous = '';
    let seq = 0;
    for (;;) {
      const rows = await this.#state.db
        .selectFrom('audit')
        .selectAll()
        .where('seq', '>', seq)
        .orderBy('seq')
        .limit(verifiedAtOnce)
        .execute();
      for (const row of rows) {
        const isNext = row.seq === seq + 1 && row.previous === previous;
        if (!isNext || row.hash !== auditHash(row)) return seq + 1;
        seq = row.seq;
        previous = row.hash;
      }
      if (rows.length < verifiedAtOnce) return undefined;
    }
  }
}

const verifiedAtOnce = 1000;

function auditHash(row: Omit<AuditRow, 'hash'>): string {
  const { seq, at_ms, actor, address, action, object, decision, details, previous } = row;
  const content = [seq, at_ms, actor, address, action, object, decision, details, previous];
  return Buffer.from(sha256(utf8(JSON.stringify(content)))).toString('hex');
}
