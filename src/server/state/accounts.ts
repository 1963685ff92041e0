import type { Random } from '../../base/random.ts';
import { randomBytes } from '../../base/random.ts';
import { HoldfastError } from '../../base/errors.ts';
import { utf8 } from '../../base/bytes.ts';
import { type Role, type Scope, scopesOfRole } from '../../contracts/accounts.ts';
import { sha256 } from '../../kernels/sha256.ts';
import type { Page } from './estate-store.ts';
import { storedJson } from './json.ts';
import type { State } from './state.ts';
import type { Queries, TokenRow, UserRow } from './tables.ts';

/** A session that was not used for so long is over, and any after so long. */
const sessionIdleMs = 12 * 3_600_000;
const sessionAgeMsMax = 7 * 86_400_000;

/** How exactly it is noted when something was used, in milliseconds: not each request writes. */
const usedMsStep = 60_000;

/** Beginning of every token: programs that look for secrets find it by this. */
export const tokenPrefix = 'hft_';

/** Bytes of chance in ids of sessions and in tokens. */
const secretSizeBytes = 32;

/** Who asks, and what they may. */
export interface Identity {
  readonly user: string;
  readonly role: Role;
  readonly scopes: readonly Scope[];
  /** As audit records and runs name them: `user:anna`, `token:ID`. */
  readonly actor: string;
}

/** An identity by its session. */
export interface SessionIdentity extends Identity {
  readonly sessionHash: string;
}

/** Users, their sessions and tokens. Of ids and tokens only hashes are stored. */
export class Accounts {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  /** True as soon as there is a user. */
  async isSetUp(db: Queries = this.#state.db): Promise<boolean> {
    const row = await db.selectFrom('users').select('name').limit(1).executeTakeFirst();
    return row !== undefined;
  }

  /** Adds the first user, once. @throws STATE_CONFLICT if there is one */
  async addFirst(
    db: Queries,
    user: { readonly name: string; readonly password: string },
  ): Promise<void> {
    // The row is what makes it once, also where two ask at the same time.
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('settings')
      .values({ name: 'set-up', value: String(this.#nowMs()) })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows !== 1n || (await this.isSetUp(db))) {
      throw new HoldfastError('STATE_CONFLICT', { message: 'this server is set up already' });
    }
    await this.addUser(db, { ...user, role: 'admin' });
  }

  /** @param user with a hashed password. @throws STATE_CONFLICT */
  async addUser(
    db: Queries,
    user: { readonly name: string; readonly password: string; readonly role: Role },
  ): Promise<void> {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('users')
      .values({ ...user, is_disabled: 0, created_ms: this.#nowMs() })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 1n) return;
    throw new HoldfastError('STATE_CONFLICT', {
      message: `there is a user ${JSON.stringify(user.name)} already`,
    });
  }

  /** Undefined if there is none. */
  findUser(name: string, db: Queries = this.#state.db): Promise<UserRow | undefined> {
    return db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
  }

  /** @throws NOT_THERE */
  async getUser(name: string, db: Queries = this.#state.db): Promise<UserRow> {
    const user = await this.findUser(name, db);
    if (user) return user;
    throw new HoldfastError('NOT_THERE', { message: `there is no user ${JSON.stringify(name)}` });
  }

  /** One page, by name. */
  listUsers({ after = '', limit }: Page): Promise<UserRow[]> {
    return this.#state.db
      .selectFrom('users')
      .selectAll()
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit)
      .execute();
  }

  /**
   * Changes a user, and ends all their sessions.
   * @throws NOT_THERE; STATE_CONFLICT if nobody were left who may administer
   */
  async changeUser(
    db: Queries,
    name: string,
    change: { readonly password?: string; readonly role?: Role; readonly isDisabled?: boolean },
  ): Promise<void> {
    await this.getUser(name, db);
    const { isDisabled, ...rest } = change;
    const values = {
      ...rest,
      ...(isDisabled === undefined ? {} : { is_disabled: isDisabled ? 1 : 0 }),
    };
    if (Object.keys(values).length > 0) {
      await db.updateTable('users').set(values).where('name', '=', name).execute();
    }
    await db.deleteFrom('sessions').where('user', '=', name).execute();
    await assertAdmin(db);
  }

  /** Removes a user with all their sessions and tokens. @throws as `changeUser` */
  async removeUser(db: Queries, name: string): Promise<void> {
    await this.getUser(name, db);
    await db.deleteFrom('users').where('name', '=', name).execute();
    await db.deleteFrom('sessions').where('user', '=', name).execute();
    await db.deleteFrom('tokens').where('user', '=', name).execute();
    await assertAdmin(db);
  }

  /** Begins a session. @returns the id for the cookie, which is not stored */
  async openSession(db: Queries, user: string): Promise<string> {
    const id = this.#secret();
    const now = this.#nowMs();
    await db
      .deleteFrom('sessions')
      .where('created_ms', '<', now - sessionAgeMsMax)
      .execute();
    await db
      .insertInto('sessions')
      .values({ hash: hashOf(id), user, created_ms: now, used_ms: now })
      .execute();
    return id;
  }

  /** Who a session is of; undefined if it is over. */
  async bySession(id: string): Promise<SessionIdentity | undefined> {
    const hash = hashOf(id);
    const row = await this.#state.db
      .selectFrom('sessions')
      .innerJoin('users', 'users.name', 'sessions.user')
      .select(['users.name', 'users.role', 'sessions.created_ms', 'sessions.used_ms'])
      .where('sessions.hash', '=', hash)
      .where('users.is_disabled', '=', 0)
      .executeTakeFirst();
    const now = this.#nowMs();
    if (!row) return undefined;
    if (now - row.used_ms > sessionIdleMs || now - row.created_ms > sessionAgeMsMax)
      return undefined;
    if (now - row.used_ms > usedMsStep) {
      await this.#state.db
        .updateTable('sessions')
        .set({ used_ms: now })
        .where('hash', '=', hash)
        .execute();
    }
    const role = row.role as Role;
    const actor = `user:${row.name}`;
    return { user: row.name, role, scopes: scopesOfRole[role], actor, sessionHash: hash };
  }

  /** Ends a session. */
  async closeSession(db: Queries, hash: string): Promise<void> {
    await db.deleteFrom('sessions').where('hash', '=', hash).execute();
  }

  /** Adds a token. @returns it, for the only time, and its id */
  async addToken(
    db: Queries,
    token: {
      readonly user: string;
      readonly label: string;
      readonly scopes: readonly Scope[];
      readonly expiresMs: number;
    },
  ): Promise<{ readonly id: string; readonly token: string }> {
    const secret = `${tokenPrefix}${this.#secret()}`;
    const id = Buffer.from(randomBytes(this.#random(), 8)).toString('hex');
    await db
      .insertInto('tokens')
      .values({
        id,
        hash: hashOf(secret),
        user: token.user,
        label: token.label,
        scopes: JSON.stringify(token.scopes),
        created_ms: this.#nowMs(),
        expires_ms: token.expiresMs,
      })
      .execute();
    return { id, token: secret };
  }

  /** Who a token is of, with what both the token and its user may; undefined if it does not count. */
  async byToken(token: string): Promise<Identity | undefined> {
    if (!token.startsWith(tokenPrefix)) return undefined;
    const row = await this.#state.db
      .selectFrom('tokens')
      .innerJoin('users', 'users.name', 'tokens.user')
      .select(['tokens.id', 'tokens.scopes', 'tokens.expires_ms', 'tokens.used_ms'])
      .select(['users.name', 'users.role'])
      .where('tokens.hash', '=', hashOf(token))
      .where('users.is_disabled', '=', 0)
      .executeTakeFirst();
    const now = this.#nowMs();
    if (!row || row.expires_ms <= now) return undefined;
    if (now - (row.used_ms ?? 0) > usedMsStep) {
      await this.#state.db
        .updateTable('tokens')
        .set({ used_ms: now })
        .where('id', '=', row.id)
        .execute();
    }
    const role = row.role as Role;
    const scopes = storedJson<Scope[]>(row.scopes).filter((scope) =>
      scopesOfRole[role].includes(scope),
    );
    return { user: row.name, role, scopes, actor: `token:${row.id}` };
  }

  /** Tokens of one user, or of all; one page, by id. */
  listTokens(user: string | undefined, { after = '', limit }: Page): Promise<TokenRow[]> {
    return this.#state.db
      .selectFrom('tokens')
      .selectAll()
      .$if(user !== undefined, (query) => query.where('user', '=', user ?? ''))
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
  }

  /** @param user undefined: of whoever. @throws NOT_THERE, also for a token of another user */
  async removeToken(db: Queries, id: string, user: string | undefined): Promise<void> {
    const { numDeletedRows } = await db
      .deleteFrom('tokens')
      .where('id', '=', id)
      .$if(user !== undefined, (query) => query.where('user', '=', user ?? ''))
      .executeTakeFirst();
    if (numDeletedRows === 1n) return;
    throw new HoldfastError('NOT_THERE', { message: 'there is no such token' });
  }

  #secret(): string {
    return Buffer.from(randomBytes(this.#random(), secretSizeBytes)).toString('base64url');
  }

  #random(): Random {
    return this.#state.environment.random;
  }

  #nowMs(): number {
    return this.#state.environment.clock.wallMs();
  }
}

/** What is stored of a secret of 256 bits: nobody finds it by trying. */
export function hashOf(secret: string): string {
  return Buffer.from(sha256(utf8(secret))).toString('hex');
}

/** @throws STATE_CONFLICT */
async function assertAdmin(db: Queries): Promise<void> {
  const admin = await db
    .selectFrom('users')
    .select('name')
    .where('role', '=', 'admin')
    .where('is_disabled', '=', 0)
    .limit(1)
    .executeTakeFirst();
  if (admin) return;
  throw new HoldfastError('STATE_CONFLICT', { message: 'nobody would be left who may administer' });
}
