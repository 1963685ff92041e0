import http from 'node:http';

import { systemClock } from '../../src/base/clock.ts';
import { portOf } from '../tools/server-port.ts';
import { ModelBucket, type Version } from './bucket.ts';
import { operate } from './bucket-operations.ts';
import { type Dialect, type DialectName, dialects } from './dialects.ts';
import type { Fault } from './faults.ts';
import { pageSizeMaxDefault } from './lists.ts';
import { Refusal } from './refusal.ts';
import { refusalReply, type Reply } from './reply.ts';
import { parseRequest, type RawRequest, type S3Request } from './request.ts';
import { checkSignature, type ModelUser } from './signature.ts';
import type { ModelState } from './state.ts';

/** What a model begins with. */
export interface ModelS3Options {
  /** Default: `aws`. */
  readonly dialect?: DialectName;
  readonly region?: string;
  /** Hosts beside its own address that name it, and before which a bucket may stand: `s3.model.test`. */
  readonly hosts?: readonly string[];
  readonly users?: readonly ModelUser[];
  /** Names in a page of a listing; default 1000. */
  readonly pageSizeMax?: number;
  /** Refuse what the signature does not cover. */
  readonly isStrict?: boolean;
}

/** Whose keys `variables` has. */
export const modelUser: ModelUser = {
  accessKeyId: 'KNOWNKEY',
  secretAccessKey: 'SECRET-OF-KEY',
};

/**
 * A server of S3 for tests: objects in memory, in the dialect of a vendor, with a clock that can be set forward and faults by
 * script. It listens on 127.0.0.1, and takes requests as an HTTP proxy does, too: with it as HTTP_PROXY it is reached
 * under any name, so that buckets can stand in the host.
 */
export class ModelS3 {
  readonly dialect: Dialect;
  readonly region: string;
  readonly buckets: Map<string, ModelBucket> = new Map();
  /** Whoever may ask; may be changed. */
  users: readonly ModelUser[];
  /** Asked in order at each request: the first that is about it is what happens. */
  faults: readonly Fault[] = [];
  /** All requests, in their order. */
  readonly seen: S3Request[] = [];
  /** How far the server's clock is from the machine's, for signatures and its `Date`. */
  skewMs = 0;
  /** Most requests that were under way at once. */
  busiest = 0;
  readonly #options: ModelS3Options;
  readonly #server: http.Server;
  #passedMs = 0;
  #busy = 0;

  constructor(options: ModelS3Options = {}) {
    this.#options = options;
    this.dialect = dialects[options.dialect ?? 'aws'];
    this.region = options.region ?? this.dialect.region;
    this.users = options.users ?? [modelUser];
    this.#server = http.createServer((message, response) => {
      this.#busy++;
      this.busiest = Math.max(this.busiest, this.#busy);
      response.on('close', () => this.#busy--);
      readBody(message, (body) => {
        const { method = '', url = '', headers } = message;
        this.#take({ method, url, headers, body }, response);
      });
    });
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${portOf(this.#server)}`;
  }

  /** `http://127.0.0.1:PORT` */
  get endpoint(): string {
    return `http://${this.address}`;
  }

  /** What a client needs in its environment. */
  get variables(): Readonly<Record<string, string>> {
    const { accessKeyId, secretAccessKey } = modelUser;
    return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  }

  /** The time by which archives come back and locks end. */
  get nowMs(): number {
    return systemClock.wallMs() + this.#passedMs;
  }

  /** Lets time pass for archives and locks; signatures stay good. */
  pass(ms: number): void {
    this.#passedMs += ms;
  }

  /** A bucket, made if it is not there. */
  bucket(name: string): ModelBucket {
    const found = this.buckets.get(name);
    if (found) return found;
    const made = new ModelBucket(name, this.nowMs);
    if (this.dialect.versioning === 'always') made.versioning = 'Enabled';
    this.buckets.set(name, made);
    return made;
  }

  /** A bucket that locks, made if it is not there. */
  lockingBucket(name: string): ModelBucket {
    const bucket = this.bucket(name);
    bucket.versioning = 'Enabled';
    bucket.hasLock = true;
    return bucket;
  }

  /** Stores an object past all rules. */
  plant(
    bucket: string,
    key: string,
    content: Uint8Array,
    more: Partial<Pick<Version, 'storageClass'>> = {},
  ): Version {
    const given = { key, content: Buffer.from(content), modifiedMs: this.nowMs, ...more };
    return this.bucket(bucket).add(given);
  }

  /** Requests so far, by operation. */
  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { operation } of this.seen) counts[operation] = (counts[operation] ?? 0) + 1;
    return counts;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(raw: RawRequest, response: http.ServerResponse): void {
    const hosts = [this.address, ...(this.#options.hosts ?? [])];
    const request = parseRequest(raw, hosts);
    this.seen.push(request);
    response.setHeader('date', new Date(systemClock.wallMs() + this.skewMs).toUTCString());
    response.setHeader('x-amz-request-id', 'model');
    const run = (): Reply => this.#answer(request);
    const send = (reply: Reply): void => sendReply(response, request.method, reply);
    const fault = this.faults.find((each) => each.takes(request));
    if (fault) fault.act({ request, response, run, send });
    else send(run());
  }

  #answer(request: S3Request): Reply {
    try {
      const { dialect, region } = this;
      const nowMs = systemClock.wallMs() + this.skewMs;
      const isStrict = this.#options.isStrict ?? false;
      const rules = { dialect, users: this.users, nowMs, region, isStrict };
      const user = checkSignature(request, rules);
      const may = (operation: string): boolean => user.may?.(operation, request) ?? true;
      if (!may(request.operation)) throw new Refusal({ status: 403, code: 'AccessDenied' });
      return operate(request, this.#state(may));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return refusalReply(error, request.method);
    }
  }

  #state(may: ModelState['may']): ModelState {
    const { dialect, buckets, nowMs, region } = this;
    const pageSizeMax = this.#options.pageSizeMax ?? pageSizeMaxDefault;
    return { dialect, buckets, nowMs, region, pageSizeMax, may };
  }
}

/** Starts a model; whoever does stops it. */
export async function startModelS3(options: ModelS3Options = {}): Promise<ModelS3> {
  return await new ModelS3(options).start();
}

function readBody(message: http.IncomingMessage, done: (body: Buffer) => void): void {
  const parts: Buffer[] = [];
  message.on('data', (part: Buffer) => parts.push(part));
  message.on('end', () => done(Buffer.concat(parts)));
}

function sendReply(
  response: http.ServerResponse,
  method: string,
  { status, headers, body = '' }: Reply,
): void {
  const isBare = status === 204 || status === 304;
  const length = isBare ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  response.writeHead(status, { ...length, ...headers });
  response.end(method === 'HEAD' || isBare ? undefined : body);
}
