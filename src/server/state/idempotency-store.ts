import { HoldfastError } from '../../base/errors.ts';
import { hashOf } from './accounts.ts';
import type { Sealer } from './seal.ts';
import type { State } from './state.ts';

/** How long an answer is kept, in milliseconds. */
const keptMs = 24 * 3_600_000;

/** A request that may come again. */
export interface RepeatableRequest {
  readonly key: string;
  readonly actor: string;
  /** All of it that counts: method, path, body. */
  readonly content: string;
}

/** What it was answered. */
export interface KeptAnswer {
  readonly status: number;
  readonly body: string;
}

/** Answers of requests that carry a key: one that comes again is answered the same, and nothing is done twice. */
export class IdempotencyStore {
  readonly #state: State;
  readonly #sealer: Sealer;

  constructor(state: State, sealer: Sealer) {
    this.#state = state;
    this.#sealer = sealer;
  }

  /**
   * Does `work`, or gives what it was answered before. An answer is kept sealed, for some hold secrets. What fails may be tried again.
   * @throws STATE_CONFLICT if the key came with another request, or its request is still under way; what `work` throws
   */
  async once(
    request: RepeatableRequest,
    work: () => Promise<KeptAnswer>,
  ): Promise<KeptAnswer & { readonly isReplayed: boolean }> {
    const { key, actor, content } = request;
    const { db, environment } = this.#state;
    const now = environment.clock.wallMs();
    await db
      .deleteFrom('idempotency')
      .where('created_ms', '<', now - keptMs)
      .execute();
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('idempotency')
      .values({ key, actor, request: hashOf(content), created_ms: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows !== 1n) return this.#replay(request);
    let answer: KeptAnswer;
    try {
      answer = await work();
    } catch (error) {
      await db
        .deleteFrom('idempotency')
        .where('key', '=', key)
        .where('actor', '=', actor)
        .execute();
      throw error;
    }
    const kept = {
      status: answer.status,
      answer: this.#sealer.seal(answer.body, placeOf(request)),
    };
    await db
      .updateTable('idempotency')
      .set(kept)
      .where('key', '=', key)
      .where('actor', '=', actor)
      .execute();
    return { ...answer, isReplayed: false };
  }

  async #replay(
    request: RepeatableRequest,
  ): Promise<KeptAnswer & { readonly isReplayed: boolean }> {
    const row = await this.#state.db
      .selectFrom('idempotency')
      .selectAll()
      .where('key', '=', request.key)
      .where('actor', '=', request.actor)
      .executeTakeFirst();
    if (row && row.request !== hashOf(request.content)) {
      throw new HoldfastError('STATE_CONFLICT', {
        message: 'the idempotency key was used for another request',
      });
    }
    if (!row || row.status === null || row.answer === null) {
      throw new HoldfastError('STATE_CONFLICT', { message: 'the same request is under way' });
    }
    const body = this.#sealer.open(row.answer, placeOf(request));
    return { status: row.status, body, isReplayed: true };
  }
}

function placeOf({ key, actor }: RepeatableRequest): string {
  return `idempotency/${JSON.stringify([actor, key])}/answer`;
}
