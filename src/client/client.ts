import type { Page } from './documents.ts';
import { type Operations, places } from './operations.ts';
import { problemOf } from './problem-error.ts';
import { readEvents, type ServerEvent } from './read-events.ts';

/** Which server is asked, and as whom. */
export interface ClientOptions {
  /** Such as `https://backup.example.org`. */
  readonly url: string;
  /** A token of `POST /api/v1/tokens`; without, only what is public works. It is sent to this server alone. */
  readonly token?: string;
  /** For another way to ask than the global `fetch`. */
  readonly fetch?: typeof fetch;
}

type Name = keyof Operations;

/** What an operation takes: `path`, `query` and `body` as it needs them. */
export type CallInput<N extends Name> = Omit<Operations[N], 'answer'> & {
  /** For requests that may be sent twice: for a day they are answered the same, and done once. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
};

/** Nothing need be given where an operation needs nothing. */
type CallArguments<N extends Name> =
  Pick<AnyInput, 'signal'> extends CallInput<N> ? [input?: CallInput<N>] : [input: CallInput<N>];

type EventName = {
  [N in Name]: Operations[N]['answer'] extends 'events' ? N : never;
}[Name];

type ListName = {
  [N in Name]: Operations[N]['answer'] extends Page<unknown>
    ? Operations[N] extends { readonly query?: { readonly cursor?: string } }
      ? N
      : never
    : never;
}[Name];

/** What a list is of. */
export type ItemOf<N extends Name> = Operations[N]['answer'] extends Page<infer T> ? T : never;

interface AnyInput {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Asks a server by its HTTP API. Every method throws `ProblemError` for what the server refuses, and what `fetch` throws if it does not answer. */
export class HoldfastClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#token = options.token;
    this.#fetch = options.fetch ?? fetch;
  }

  /** One request. @throws ProblemError */
  async call<N extends Exclude<Name, EventName>>(
    name: N,
    ...[input]: CallArguments<N>
  ): Promise<Operations[N]['answer']> {
    const response = await this.#send(name, input ?? {});
    const answer: unknown = response.status === 204 ? undefined : await response.json();
    return answer as Operations[N]['answer'];
  }

  /** All entries of a list, page by page as they are asked for. @throws ProblemError */
  async *list<N extends ListName>(
    name: N,
    ...[input]: CallArguments<N>
  ): AsyncGenerator<ItemOf<N>, void, undefined> {
    const asked = (input ?? {}) as AnyInput;
    for (let cursor = asked.query?.['cursor']; ; ) {
      const response = await this.#send(name, { ...asked, query: { ...asked.query, cursor } });
      const page = (await response.json()) as Page<ItemOf<N>>;
      yield* page.items;
      if (page.next === undefined) return;
      cursor = page.next;
    }
  }

  /** What happens, until there is no more or who reads it stops. @throws ProblemError */
  async *events<N extends EventName>(
    name: N,
    ...[input]: CallArguments<N>
  ): AsyncGenerator<ServerEvent, void, undefined> {
    const { body } = await this.#send(name, input ?? {});
    if (body) yield* readEvents(body);
  }

  async #send(name: Name, input: AnyInput): Promise<Response> {
    const [method, pattern] = places[name];
    const { path = {}, query = {}, body, idempotencyKey, signal } = input;
    const url = new URL(
      this.#url +
        pattern.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(path[key] ?? '')),
    );
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const headers = {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }),
      ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
    };
    const ask = this.#fetch;
    const response = await ask(url, {
      method,
      headers,
      redirect: 'error',
      ...(signal ? { signal } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    throw await problemOf(response);
  }
}
