import type { z } from 'zod';
import type { Scope } from '../../contracts/accounts.ts';
import type { Identity, SessionIdentity } from '../state/accounts.ts';
import type { AuditEntry } from '../state/audit-store.ts';
import type { Queries } from '../state/tables.ts';
import type { Services } from './services.ts';

/** Who may use a route: everybody, whoever is signed in, or who has a scope. */
export type Access = 'public' | 'signed-in' | Scope;

/** Methods of routes. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A request whose form is right, of somebody who may make it. */
export interface RouteRequest<P, Q, B> {
  readonly path: P;
  readonly query: Q;
  readonly body: B;
  readonly services: Services;
  /** Of a public route: nobody. */
  readonly identity: Identity | undefined;
  /** Where it came from. */
  readonly address: string;
  /** Sets or ends the session of a browser. */
  readonly cookies: SessionCookies;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Changes something, with its audit record, wholly or not at all. */
  readonly change: <T>(
    what: Pick<AuditEntry, 'action' | 'object' | 'details'>,
    work: (db: Queries) => Promise<T>,
  ) => Promise<T>;
  /** Records something that was refused. */
  readonly refuse: (what: Pick<AuditEntry, 'action' | 'object' | 'details'>) => Promise<void>;
}

/** The session of a browser. */
export interface SessionCookies {
  /** The session by which this request came. */
  readonly session: SessionIdentity | undefined;
  readonly csrfToken: string | undefined;
  /** @returns the token for what changes something */
  set(sessionId: string): string;
  clear(): void;
}

/** An answer that is no JSON document of the route's schema. */
export interface TextAnswer {
  readonly type: string;
  readonly text: string;
  readonly status?: number;
}

/** What happens while somebody listens. */
export interface ServerEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: unknown;
}

interface RouteBase<P, Q, B> {
  readonly method: Method;
  /** Such as `/api/v1/runs/{id}`. */
  readonly path: string;
  readonly access: Access;
  /** What it does, in a few words. */
  readonly summary: string;
  readonly parameters?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  readonly body?: z.ZodType<B>;
  /** The body is a form of a page. */
  readonly takesForm?: boolean;
}

/** A route that answers with a JSON document, or with nothing (204) if it has no schema. */
export interface JsonRoute<P, Q, B, A> extends RouteBase<P, Q, B> {
  readonly kind: 'json';
  readonly answer?: z.ZodType<A>;
  /** Default: 200, or 204 without an answer. */
  readonly status?: number;
  handle(request: RouteRequest<P, Q, B>): Promise<A>;
}

/** A route that answers with a text of its own. */
export interface TextRoute<P, Q, B> extends RouteBase<P, Q, B> {
  readonly kind: 'text';
  handle(request: RouteRequest<P, Q, B>): Promise<TextAnswer>;
}

/** A route that tells what happens, as server-sent events, until it has no more to tell. */
export interface EventRoute<P, Q, B> extends RouteBase<P, Q, B> {
  readonly kind: 'events';
  /** Checks what can be checked before anything is answered. */
  handle(request: RouteRequest<P, Q, B>): Promise<AsyncIterable<ServerEvent>>;
}

/** A route of any form. */
export type Route =
  | JsonRoute<unknown, unknown, unknown, unknown>
  | TextRoute<unknown, unknown, unknown>
  | EventRoute<unknown, unknown, unknown>;

/** A route with the types of its parts, which its schemas vouch for. */
export function jsonRoute<P, Q, B, A>(route: Omit<JsonRoute<P, Q, B, A>, 'kind'>): Route {
  return { kind: 'json', ...route };
}

/** As `jsonRoute`. */
export function textRoute<P, Q, B>(route: Omit<TextRoute<P, Q, B>, 'kind'>): Route {
  return { kind: 'text', ...route };
}

/** As `jsonRoute`. */
export function eventRoute<P, Q, B>(route: Omit<EventRoute<P, Q, B>, 'kind'>): Route {
  return { kind: 'events', ...route };
}
