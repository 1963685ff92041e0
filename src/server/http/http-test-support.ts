import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { systemEnvironment } from '../../base/environment.ts';
import type { Scope } from '../../contracts/accounts.ts';
import { createRepository } from '../../repository/repository.ts';
import { LocalBackend } from '../../storage/local/local-backend.ts';
import { type RunningServer, startServer } from '../start-server.ts';
import type { ProblemDocument } from './problem.ts';

/** For tests: a server in this process, and who asks it. */

export const adminPassword = 'correct horse battery';

/** An answer, with its body as it came and as JSON. */
export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: T;
}

export interface AskOptions {
  /** A token; without, that of the bed's administrator. Null: none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is. */
  readonly raw?: string;
}

/** Asks a server over HTTP. */
export class Asker {
  readonly url: string;
  token: string | undefined;

  constructor(url: string, token?: string) {
    this.url = url;
    this.token = token;
  }

  async ask<T = Record<string, unknown>>(
    call: string,
    body?: unknown,
    { token = this.token ?? null, headers = {}, raw }: AskOptions = {},
  ): Promise<Answer<T>> {
    const [method = '', place = ''] = call.split(' ', 2);
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(this.url + place, {
      method,
      redirect: 'manual',
      headers: {
        ...(content === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: content }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, body: parsed as T };
  }

  /** Begins to ask for something that is told bit by bit. */
  open(place: string): Promise<Response> {
    return fetch(this.url + place, { headers: { Authorization: `Bearer ${this.token}` } });
  }

  /** As `ask`, which must succeed. @returns the body */
  async must<T = Record<string, unknown>>(
    call: string,
    body?: unknown,
    options?: AskOptions,
  ): Promise<T> {
    const answer = await this.ask<T>(call, body, options);
    if (answer.status < 300) return answer.body;
    throw new Error(`${call}: ${answer.status} ${answer.text}`);
  }

  /** What is said to be wrong with a request. @returns `field: message`, and how it was answered */
  async problems(call: string, body?: unknown, options?: AskOptions): Promise<string[]> {
    const answer = await this.ask<ProblemDocument>(call, body, options);
    const fields = (answer.body.errors ?? []).map(({ field, message }) => `${field}: ${message}`);
    return [`${answer.status} ${answer.body.code}`, ...fields];
  }

  /** Makes the first user, and a token of theirs that may everything. */
  async setUp(link: string): Promise<void> {
    const token = new URL(link).searchParams.get('token');
    const person = { name: 'anna', password: adminPassword };
    await this.must('POST /api/v1/set-up', { token, ...person });
    this.token = await this.tokenFor(person, ['read', 'run', 'manage', 'admin']);
  }

  /** Signs in, and makes a token. */
  async tokenFor(
    person: { readonly name: string; readonly password: string },
    scopes: readonly Scope[],
  ): Promise<string> {
    const session = await this.signIn(person);
    const made = await this.must<{ token: string }>(
      'POST /api/v1/tokens',
      { label: 'test', scopes },
      session,
    );
    return made.token;
  }

  /** Signs in as a browser does. */
  async signIn(person: {
    readonly name: string;
    readonly password: string;
  }): Promise<AskOptions & { readonly token: null }> {
    const answer = await this.ask<{ 'csrf-token': string }>('POST /api/v1/session', person, {
      token: null,
    });
    if (answer.status !== 200) throw new Error(`cannot sign in: ${answer.text}`);
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    return {
      token: null,
      headers: { Cookie: cookie, 'X-Holdfast-CSRF': answer.body['csrf-token'] },
    };
  }
}

/** A server in this process. */
export class ServerBed extends Asker {
  readonly server: RunningServer;
  readonly log: string[];
  readonly folder: string;

  private constructor(server: RunningServer, folder: string, log: string[]) {
    super(server.url);
    this.server = server;
    this.folder = folder;
    this.log = log;
  }

  /** Starts it, set up unless told otherwise. */
  static async start(
    folder: string,
    {
      isSetUp = true,
      isKeyNew = false,
      origin,
    }: { readonly isSetUp?: boolean; readonly isKeyNew?: boolean; readonly origin?: string } = {},
  ): Promise<ServerBed> {
    const log: string[] = [];
    const server = await startServer({
      dataPath: folder,
      database: undefined,
      listen: { host: '127.0.0.1', port: 0 },
      origin,
      isKeyNew,
      environment: systemEnvironment,
      variables: { PATH: process.env['PATH'], HOME: folder },
      programVersion: 'holdfast test',
      log: (line) => log.push(JSON.stringify(line)),
    });
    const bed = new ServerBed(server, folder, log);
    if (isSetUp) await bed.setUp(server.setUpUrl ?? '');
    return bed;
  }

  /** All bytes that it has stored and logged, as text. */
  everything(): string {
    const names = readdirSync(this.folder, { recursive: true, encoding: 'utf8' });
    const files = names
      .map((name) => path.join(this.folder, name))
      .filter((file) => statSync(file).isFile())
      .map((file) => readFileSync(file, 'latin1'));
    return [...files, ...this.log].join('\n');
  }
}

/** Makes a repository whose key costs little. @returns where it is */
export async function cheapRepository(location: string, password: string): Promise<string> {
  mkdirSync(location);
  const backend = await LocalBackend.open(location, { environment: systemEnvironment });
  await createRepository(backend, {
    environment: systemEnvironment,
    hostname: 'host',
    username: 'user',
    scrypt: { N: 1024, r: 8, p: 1 },
    password: Buffer.from(password),
  });
  return location;
}
