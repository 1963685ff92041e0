import { z } from 'zod';
import { HoldfastError } from '../../../base/errors.ts';
import {
  auditCheckView,
  type AuditView,
  auditView,
  newTokenView,
  type NewTokenView,
  type SessionView,
  sessionView,
  type TokenView,
  tokenView,
  type UserView,
  userView,
} from '../../../contracts/account-views.ts';
import {
  passwordRequestSchema,
  type Role,
  type Scope,
  signInRequestSchema,
  tokenDaysDefault,
  tokenRequestSchema,
  userChangeSchema,
  userName,
  userRequestSchema,
} from '../../../contracts/accounts.ts';
import { pageOf, pageQuery } from '../../../contracts/paging.ts';
import type { Identity } from '../../state/accounts.ts';
import { fieldError } from '../../state/estate-store.ts';
import { storedJson } from '../../state/json.ts';
import type { AuditRow, TokenRow, UserRow } from '../../state/tables.ts';
import { numberedPageFrom, pageAnswer, pageFrom, timeOrNone, timeText } from '../paging.ts';
import { passwordObjection } from '../passwords.ts';
import { jsonRoute, type Route, type RouteRequest } from '../route.ts';

const userPath = z.strictObject({ name: userName });
const tokenPath = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/, 'must be the id of a token'),
});

const dayMs = 86_400_000;

/** Sign-in, users, tokens and what was recorded. */
export const accountRoutes: readonly Route[] = [
  jsonRoute({
    method: 'POST',
    path: '/api/v1/session',
    access: 'public',
    summary: 'Sign in with a name and a password',
    body: signInRequestSchema,
    answer: sessionView,
    handle: signIn,
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/session',
    access: 'signed-in',
    summary: 'Who is signed in',
    answer: sessionView,
    handle: async ({ identity, cookies }) => sessionOf(known(identity), cookies.csrfToken),
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/api/v1/session',
    access: 'signed-in',
    summary: 'Sign out',
    handle: async ({ cookies, services, change }) => {
      const { session } = cookies;
      if (!session)
        throw new HoldfastError('STATE_CONFLICT', { message: 'a token does not sign out' });
      await change({ action: 'sign-out', object: session.user }, (db) =>
        services.accounts.closeSession(db, session.sessionHash),
      );
      cookies.clear();
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/session/password',
    access: 'signed-in',
    summary: 'Change the own password; all sessions end',
    body: passwordRequestSchema,
    handle: changeOwnPassword,
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/users',
    access: 'admin',
    summary: 'List users',
    query: pageQuery,
    answer: pageOf(userView),
    handle: async ({ query, services }) => {
      const page = pageFrom(query);
      const rows = await services.accounts.listUsers(page);
      return pageAnswer(rows, page, { keyOf: ({ name }) => name, view: viewUser });
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/users',
    access: 'admin',
    summary: 'Add a user',
    body: userRequestSchema,
    answer: userView,
    status: 201,
    handle: async ({ body, services, change }) => {
      const { accounts } = services;
      assertGoodPassword(body.password, body.name);
      const password = await services.passwords.hash(body.password);
      const details = { role: body.role };
      return change({ action: 'add-user', object: body.name, details }, async (db) => {
        await accounts.addUser(db, { ...body, password });
        return viewUser(await accounts.getUser(body.name, db));
      });
    },
  }),
  jsonRoute({
    method: 'PATCH',
    path: '/api/v1/users/{name}',
    access: 'admin',
    summary: 'Change a user; all their sessions end',
    parameters: userPath,
    body: userChangeSchema,
    answer: userView,
    handle: async ({ path: { name }, body, services, change }) => {
      const { accounts } = services;
      const { password, role, disabled } = body;
      if (password !== undefined) assertGoodPassword(password, name);
      const hash = password === undefined ? undefined : await services.passwords.hash(password);
      const values = {
        ...(hash === undefined ? {} : { password: hash }),
        ...(role === undefined ? {} : { role }),
        ...(disabled === undefined ? {} : { isDisabled: disabled }),
      };
      const details = { fields: Object.keys(body).join(',') };
      return change({ action: 'change-user', object: name, details }, async (db) => {
        await accounts.changeUser(db, name, values);
        return viewUser(await accounts.getUser(name, db));
      });
    },
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/api/v1/users/{name}',
    access: 'admin',
    summary: 'Remove a user, with all their tokens',
    parameters: userPath,
    handle: ({ path: { name }, services, change }) =>
      change({ action: 'remove-user', object: name }, (db) =>
        services.accounts.removeUser(db, name),
      ),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/tokens',
    access: 'signed-in',
    summary: 'List the own tokens; those of all for who may administer',
    query: pageQuery,
    answer: pageOf(tokenView),
    handle: async ({ query, services, identity }) => {
      const page = pageFrom(query);
      const rows = await services.accounts.listTokens(ownerOf(identity), page);
      return pageAnswer(rows, page, { keyOf: ({ id }) => id, view: viewToken });
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/tokens',
    access: 'signed-in',
    summary: 'Make a token for a program',
    body: tokenRequestSchema,
    answer: newTokenView,
    status: 201,
    handle: addToken,
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/api/v1/tokens/{id}',
    access: 'signed-in',
    summary: 'Remove a token: it counts no more',
    parameters: tokenPath,
    handle: ({ path: { id }, services, identity, change }) =>
      change({ action: 'remove-token', object: id }, (db) =>
        services.accounts.removeToken(db, id, ownerOf(identity)),
      ),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/audit',
    access: 'admin',
    summary: 'List what was done, the newest first',
    query: pageQuery,
    answer: pageOf(auditView),
    handle: async ({ query, services }) => {
      const page = numberedPageFrom(query);
      const rows = await services.audit.list(page);
      return pageAnswer(rows, page, { keyOf: ({ seq }) => seq, view: viewAudit });
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/audit/check',
    access: 'admin',
    summary: 'Look whether records of what was done were changed, removed or put in between',
    answer: auditCheckView,
    handle: async ({ services }) => {
      const broken = await services.audit.firstBroken();
      return { intact: broken === undefined, 'first-broken': broken };
    },
  }),
];

async function signIn(
  request: RouteRequest<unknown, unknown, { readonly name: string; readonly password: string }>,
): Promise<SessionView> {
  const { body, services, address, cookies } = request;
  const { accounts, tries, passwords, state, audit } = services;
  const { name, password } = body;
  tries.assertMayTry(name, address);
  const user = await accounts.findUser(name);
  const usable = user && user.is_disabled === 0 ? user : undefined;
  if (!(await passwords.isRight(password, usable?.password)) || !usable) {
    tries.wrong(name, address);
    // A name that nobody has may be a password that was typed into the wrong field.
    await request.refuse({ action: 'sign-in', object: user ? name : 'unknown' });
    throw new HoldfastError('NOT_AUTHENTICATED', { message: 'the name or the password is wrong' });
  }
  tries.right(name, address);
  const id = await state.transaction(async (db) => {
    const session = await accounts.openSession(db, name);
    const actor = `user:${name}`;
    await audit.add(db, { actor, address, action: 'sign-in', object: name, decision: 'done' });
    return session;
  });
  const csrfToken = cookies.set(id);
  const identity = await accounts.bySession(id);
  return sessionOf(known(identity), csrfToken);
}

async function changeOwnPassword(
  request: RouteRequest<unknown, unknown, { readonly current: string; readonly password: string }>,
): Promise<void> {
  const { body, services, cookies, address, change } = request;
  const { session } = cookies;
  // A token that was stolen must not become a password.
  if (!session)
    throw new HoldfastError('NOT_ALLOWED', { message: 'a token cannot change passwords' });
  const { user: name } = session;
  const { accounts, tries, passwords } = services;
  tries.assertMayTry(name, address);
  const user = await accounts.getUser(name);
  if (!(await passwords.isRight(body.current, user.password))) {
    tries.wrong(name, address);
    await request.refuse({ action: 'change-password', object: name });
    throw fieldError([{ path: ['current'], message: 'is not the password' }]);
  }
  assertGoodPassword(body.password, name);
  const password = await passwords.hash(body.password);
  await change({ action: 'change-password', object: name }, (db) =>
    accounts.changeUser(db, name, { password }),
  );
  cookies.clear();
}

async function addToken(
  request: RouteRequest<
    unknown,
    unknown,
    {
      readonly label: string;
      readonly scopes: readonly Scope[];
      readonly 'expires-in-days'?: number | undefined;
    }
  >,
): Promise<NewTokenView> {
  const { body, services, change } = request;
  const identity = known(request.identity);
  const over = body.scopes.find((scope) => !identity.scopes.includes(scope));
  if (over !== undefined) {
    throw new HoldfastError('NOT_ALLOWED', {
      message: `a token cannot have the scope "${over}", which who makes it has not`,
    });
  }
  const days = body['expires-in-days'] ?? tokenDaysDefault;
  const expiresMs = services.environment.clock.wallMs() + days * dayMs;
  const { label, scopes } = body;
  const details = { scopes: scopes.join(','), days };
  const made = await change({ action: 'add-token', object: identity.user, details }, (db) =>
    services.accounts.addToken(db, { user: identity.user, label, scopes, expiresMs }),
  );
  return { ...made, expires: timeText(expiresMs) };
}

/** Whose tokens somebody may see and remove; undefined: everybody's. */
function ownerOf(identity: Identity | undefined): string | undefined {
  const { user, scopes } = known(identity);
  return scopes.includes('admin') ? undefined : user;
}

/** @throws REQUEST_INVALID */
export function assertGoodPassword(password: string, name: string): void {
  const message = passwordObjection(password, name);
  if (message !== undefined) throw fieldError([{ path: ['password'], message }]);
}

/** Whoever came past the door of a route that is not public. */
export function known(identity: Identity | undefined): Identity {
  if (identity) return identity;
  throw new HoldfastError('NOT_AUTHENTICATED');
}

function sessionOf(identity: Identity, csrfToken: string | undefined): SessionView {
  const { user, role, scopes } = identity;
  return { user, role, scopes, ...(csrfToken === undefined ? {} : { 'csrf-token': csrfToken }) };
}

function viewUser({ name, role, is_disabled, created_ms }: UserRow): UserView {
  const disabled = is_disabled !== 0;
  return { name, role: role as Role, disabled, created: timeText(created_ms) };
}

function viewToken(row: TokenRow): TokenView {
  const { id, user, label } = row;
  return {
    id,
    user,
    label,
    scopes: storedJson<Scope[]>(row.scopes),
    created: timeText(row.created_ms),
    expires: timeText(row.expires_ms),
    used: timeOrNone(row.used_ms),
  };
}

function viewAudit(row: AuditRow): AuditView {
  const { actor, address, action, object, hash } = row;
  return {
    number: row.seq,
    at: timeText(row.at_ms),
    actor,
    address,
    action,
    object,
    hash,
    decision: row.decision === 'done' ? 'done' : 'refused',
    details: storedJson(row.details),
  };
}
