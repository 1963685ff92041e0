import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { fieldProblems } from '../../contracts/estate-file.ts';
import type { FieldProblem } from '../../contracts/estate-references.ts';
import type { Identity, SessionIdentity } from '../state/accounts.ts';
import { fieldError } from '../state/estate-store.ts';
import {
  assertCsrfToken,
  csrfTokenOf,
  isUnsafe,
  sessionCookie,
  setCookie,
  type Site,
} from './browser-guards.ts';
import { sendEvents } from './send-events.ts';
import type { JsonRoute, Route, RouteRequest, ServerEvent, SessionCookies } from './route.ts';
import type { Services } from './services.ts';

/** A request as it came. */
export interface Incoming {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly services: Services;
  readonly site: Site;
  readonly onActor: (actor: string) => void;
}

/** Problems of one request that are told. */
const problemsToldMax = 100;

/** Answers a request: who asks is known and may, and the form is right, before anything is done. */
export async function answerRoute(route: Route, incoming: Incoming): Promise<FastifyReply> {
  const { request, reply } = incoming;
  const caller = await callerOf(route, incoming);
  if (caller.identity) incoming.onActor(caller.identity.actor);
  const routeRequest = { ...parsed(route, request), ...contextOf(incoming, caller) };
  if (route.kind === 'events') {
    const events = await route.handle(routeRequest);
    const allowed = whileAllowed(events, () => callerOf(route, incoming));
    return sendEvents(reply, allowed, incoming.services);
  }
  if (route.kind === 'text') {
    const { type, text, status = 200 } = await route.handle(routeRequest);
    return reply.code(status).header('Content-Type', type).send(text);
  }
  const key = idempotencyKey(route, request);
  const work = async (): Promise<{ status: number; body: string }> => {
    const answer = await route.handle(routeRequest);
    return jsonAnswer(route, answer);
  };
  if (key === undefined || !caller.identity) return sendJson(reply, await work());
  const content = JSON.stringify([request.method, request.url, request.body ?? null]);
  const { actor } = caller.identity;
  const answer = await incoming.services.idempotency.once({ key, actor, content }, work);
  if (answer.isReplayed) reply.header('Idempotency-Replayed', 'true');
  return sendJson(reply, answer);
}

/** Who follows something hears no more of it as soon as they may not. */
async function* whileAllowed(
  events: AsyncIterable<ServerEvent>,
  check: () => Promise<unknown>,
): AsyncGenerator<ServerEvent> {
  for await (const event of events) {
    await check();
    yield event;
  }
}

function jsonAnswer(
  { answer, status }: JsonRoute<unknown, unknown, unknown, unknown>,
  value: unknown,
): { status: number; body: string } {
  if (!answer) return { status: status ?? 204, body: '' };
  // What the schema does not name does not leave the server.
  return { status: status ?? 200, body: JSON.stringify(answer.parse(value)) };
}

function sendJson(
  reply: FastifyReply,
  { status, body }: { readonly status: number; readonly body: string },
): FastifyReply {
  if (body === '') return reply.code(status).send();
  return reply.code(status).header('Content-Type', 'application/json; charset=utf-8').send(body);
}

interface Caller {
  readonly identity: Identity | undefined;
  readonly session: SessionIdentity | undefined;
  readonly sessionId: string | undefined;
}

/** @throws NOT_AUTHENTICATED, NOT_ALLOWED */
async function callerOf(route: Route, { request, services, site }: Incoming): Promise<Caller> {
  const { access } = route;
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
    const identity = token === undefined ? undefined : await services.accounts.byToken(token);
    if (!identity)
      throw new HoldfastError('NOT_AUTHENTICATED', { message: 'the token does not count' });
    assertAccess(route, identity);
    return { identity, session: undefined, sessionId: undefined };
  }
  const sessionId = sessionCookie(request, site);
  const session =
    sessionId === undefined ? undefined : await services.accounts.bySession(sessionId);
  if (session && sessionId !== undefined && isUnsafe(request) && access !== 'public') {
    assertCsrfToken(request, sessionId);
  }
  if (access !== 'public' && !session) throw new HoldfastError('NOT_AUTHENTICATED');
  if (session) assertAccess(route, session);
  return { identity: session, session, sessionId: session && sessionId };
}

function assertAccess({ access }: Route, { scopes }: Identity): void {
  if (access === 'public' || access === 'signed-in' || scopes.includes(access)) return;
  throw new HoldfastError('NOT_ALLOWED', { message: `this needs the scope "${access}"` });
}

/** @throws REQUEST_INVALID, naming all fields that are wrong */
function parsed(
  route: Route,
  request: FastifyRequest,
): { readonly path: unknown; readonly query: unknown; readonly body: unknown } {
  const problems: FieldProblem[] = [];
  const path = parsePart(route.parameters, request.params, { name: 'path', problems });
  const query = parsePart(route.query, request.query, { name: 'query', problems });
  const type = request.headers['content-type'] ?? '';
  const isForm = type.startsWith('application/x-www-form-urlencoded');
  if (isUnsafe(request) && request.body !== undefined && isForm !== (route.takesForm ?? false)) {
    const message = route.takesForm ? 'must be a form' : 'must be JSON';
    throw fieldError([{ path: ['body'], message }]);
  }
  const body = parsePart(route.body, request.body, { name: '', problems });
  if (problems.length > 0) throw fieldError(problems.slice(0, problemsToldMax));
  return { path, query, body };
}

function parsePart(
  schema: z.ZodType | undefined,
  value: unknown,
  { name, problems }: { readonly name: string; readonly problems: FieldProblem[] },
): unknown {
  if (!schema) {
    const isEmpty =
      value === undefined ||
      value === null ||
      (typeof value === 'object' && Object.keys(value).length === 0);
    if (!isEmpty) problems.push({ path: [name || 'body'], message: 'must be empty' });
    return undefined;
  }
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  for (const { path, message } of fieldProblems(result.error.issues)) {
    const place = name === '' ? path : [name, ...path];
    problems.push({ path: place.length === 0 ? ['body'] : place, message });
  }
  return undefined;
}

function contextOf(
  { request, reply, services, site }: Incoming,
  { identity, session, sessionId }: Caller,
): Omit<RouteRequest<unknown, unknown, unknown>, 'path' | 'query' | 'body'> {
  const address = request.ip;
  const actor = identity?.actor ?? 'nobody';
  const cookies: SessionCookies = {
    session,
    csrfToken: sessionId === undefined ? undefined : csrfTokenOf(sessionId),
    set(id) {
      reply.header('Set-Cookie', setCookie(site, id));
      return csrfTokenOf(id);
    },
    clear: () => void reply.header('Set-Cookie', setCookie(site, undefined)),
  };
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort(new HoldfastError('CANCELLED')));
  return {
    services,
    identity,
    address,
    cookies,
    signal: AbortSignal.any([gone.signal, services.signal]),
    change: (what, work) =>
      services.state.transaction(async (db) => {
        const result = await work(db);
        await services.audit.add(db, { ...what, actor, address, decision: 'done' });
        return result;
      }),
    refuse: (what) =>
      services.state.transaction((db) =>
        services.audit.add(db, { ...what, actor, address, decision: 'refused' }),
      ),
  };
}

/** @throws REQUEST_INVALID */
function idempotencyKey({ method }: Route, request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined || method !== 'POST') return undefined;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw fieldError([{ path: ['Idempotency-Key'], message: 'must be 1 to 200 visible characters' }]);
}
