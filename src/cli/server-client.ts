import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorTable, HoldfastError } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import { readEvents, type ServerEvent } from '../client/read-events.ts';
import { pageOf, pageSizeMax } from '../contracts/paging.ts';
import type { Schema } from '../contracts/schema.ts';
import { readSmallFile } from '../session/small-file.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';
import type { ServerFlags } from './server-flags.ts';
import { keptLogin, serverUrl } from './server-login.ts';

/** How a server is asked: `POST /api/v1/runs`. */
export interface ServerCall {
  readonly call: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Longest wait for the beginning of an answer, in milliseconds: a repository may have to be opened. */
const answerMsMax = 180_000;

/** Asks a server by its HTTP API. */
export class ServerClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;

  constructor(
    url: string,
    token: string | undefined,
    { signal, environment }: Pick<Invocation, 'signal' | 'environment'>,
  ) {
    this.#url = url;
    this.#token = token;
    this.#signal = signal;
    this.#clock = environment.clock;
  }

  /** For a command. @throws USAGE if nobody has logged in */
  static of(invocation: Invocation<ServerFlags>): ServerClient {
    const { flags } = invocation;
    const kept =
      flags.server !== undefined && flags.tokenFile !== undefined
        ? undefined
        : keptLogin(invocation);
    const url = flags.server === undefined ? kept?.url : serverUrl(flags.server);
    const token =
      flags.tokenFile === undefined
        ? tokenFor(url, kept)
        : Buffer.from(readSmallFile(flags.tokenFile, 'file with the token'))
            .toString('utf8')
            .trim();
    if (url === undefined || token === undefined) {
      throw usage(
        'it is not known which server to ask, or as whom',
        'Log in with "holdfast login".',
      );
    }
    return new ServerClient(url, token, invocation);
  }

  /** @throws what the server answers; BACKEND_UNAVAILABLE if it does not */
  async ask<T>(call: ServerCall, schema: Schema<T>): Promise<T> {
    const response = await this.send(call);
    return parseAnswer(schema, await response.json().catch(() => undefined));
  }

  /** The events of an answer, as they come, until it ends or breaks off. @throws as `ask` */
  async *events(call: ServerCall): AsyncGenerator<ServerEvent, void, undefined> {
    const { body } = await this.send(call);
    if (!body) return;
    try {
      yield* readEvents(body);
    } catch (error) {
      if (this.#signal.aborted) throw new HoldfastError('CANCELLED');
      if (error instanceof RangeError || error instanceof SyntaxError) throw unknownForm();
      // What `fetch` tells of a connection that was cut.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** All pages of a list. */
  async all<T>(place: string, item: Schema<T>): Promise<T[]> {
    const items: T[] = [];
    for (let cursor = ''; ; ) {
      const call = `GET ${place}?limit=${pageSizeMax}${cursor}`;
      const page = await this.ask({ call }, pageOf(item));
      items.push(...page.items);
      if (page.next === undefined) return items;
      cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
  }

  /** An answer that succeeded, whatever is in it. @throws as `ask` */
  async send({ call, body, headers = {} }: ServerCall): Promise<Response> {
    const [method = '', place = ''] = call.split(' ', 2);
    const late = new AbortController();
    const answered = new AbortController();
    this.#clock.sleep(answerMsMax, answered.signal).then(
      () => late.abort(),
      () => undefined,
    );
    let response: Response;
    try {
      response = await fetch(this.#url + place, {
        method,
        redirect: 'error',
        signal: AbortSignal.any([this.#signal, late.signal]),
        headers: {
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...(this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      if (this.#signal.aborted) throw new HoldfastError('CANCELLED');
      throw new HoldfastError('BACKEND_UNAVAILABLE', {
        message: `the server at ${this.#url} does not answer`,
        hint: 'Look whether "holdfast serve" runs there.',
        cause: cause instanceof Error ? cause.cause : undefined,
      });
    } finally {
      answered.abort();
    }
    if (response.ok) return response;
    throw await refusal(response);
  }
}

/** What a server told, if it has the form that is known here. @throws PROTOCOL_BROKEN */
export function parseAnswer<T>(schema: Schema<T>, told: unknown): T {
  const parsed = schema.safeParse(told);
  if (parsed.success) return parsed.data;
  throw unknownForm();
}

function unknownForm(): HoldfastError {
  return new HoldfastError('PROTOCOL_BROKEN', {
    message: 'the server answers in a form that is not known here: it may be of another version',
  });
}

/** A token is sent to no other server than the one that gave it. */
function tokenFor(
  url: string | undefined,
  kept: { readonly url: string; readonly token: string } | undefined,
): string | undefined {
  return kept?.url === url ? kept?.token : undefined;
}

/** What a problem document says. */
async function refusal(response: Response): Promise<HoldfastError> {
  const text = await response.text();
  const problem = problemFields(text);
  const code = problem['code'];
  const fields = Array.isArray(problem['errors']) ? problem['errors'].map(fieldText) : [];
  const said = [problem['detail'], problem['title']].find((part) => typeof part === 'string');
  const message =
    fields.length > 0 ? fields.join('; ') : (said ?? `it answered ${response.status}`);
  const hint = problem['hint'];
  return new HoldfastError(isErrorCode(code) ? code : 'PROTOCOL_BROKEN', {
    message: `the server: ${harmlessLine(message)}`,
    ...(typeof hint === 'string' ? { hint: harmlessLine(hint) } : {}),
  });
}

function problemFields(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function fieldText(problem: unknown): string {
  const { field, message } = { ...(problem as { field?: unknown; message?: unknown }) };
  return `${String(field)}: ${String(message)}`;
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}
