import { createHash } from 'node:crypto';

import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

import { throwIfAborted } from '../../base/abort.ts';
import type { Clock } from '../../base/clock.ts';
import type { S3Location } from '../location.ts';
import { type Credentials, silentLogger } from './credentials.ts';
import { type HttpRequests, PartsBody } from './http-requests.ts';
import { type FailedCall, readRefusal, translate } from './translate.ts';

/** How a bucket is asked. */
export interface S3RequestsOptions {
  readonly location: S3Location;
  readonly http: HttpRequests;
  readonly region: string;
  /** Somebody said so: a server that wants another is not obeyed. */
  readonly isRegionFixed: boolean;
  readonly isPathStyle: boolean;
  /** Where requests go, for people. */
  readonly host: string;
  /** Undefined: no request is signed. */
  readonly credentials: Credentials | undefined;
  readonly clock: Clock;
}

/** One request: what it is about, and how the SDK's client makes it. */
export interface S3Request<T> extends Pick<FailedCall, 'action' | 'subject' | 'signal'> {
  readonly send: (client: S3Client, options: SendOptions) => Promise<T>;
}

/** What every command of the SDK takes. */
export interface SendOptions {
  readonly abortSignal?: AbortSignal;
}

/** Makes requests of one bucket by the vendor's SDK, each once, and translates what goes wrong. */
export class S3Requests {
  readonly bucket: string;
  readonly #options: S3RequestsOptions;
  #client: S3Client;
  #region: string;
  #hasSucceeded = false;

  constructor(options: S3RequestsOptions) {
    this.#options = options;
    this.bucket = options.location.bucket;
    this.#region = options.region;
    this.#client = makeClient(options, options.region);
  }

  get region(): string {
    return this.#region;
  }

  /** Where requests go, for people. */
  get host(): string {
    return this.#options.host;
  }

  /** Some request did, so there is a bucket. */
  get hasSucceeded(): boolean {
    return this.#hasSucceeded;
  }

  get nowMs(): number {
    return this.#options.clock.wallMs();
  }

  /** @throws as `translate` says */
  async run<T>(request: S3Request<T>): Promise<T> {
    const { signal } = request;
    throwIfAborted(signal);
    const options = signal ? { abortSignal: signal } : {};
    const client = this.#client;
    try {
      const answer = await request.send(client, options);
      this.#hasSucceeded = true;
      return answer;
    } catch (error) {
      const { bucket, nowMs } = this;
      const call = { ...request, bucket, nowMs, host: this.#options.host };
      if (!this.#learnsRegion(error, client)) throw translate(error, call);
      try {
        return await request.send(this.#client, options);
      } catch (second) {
        throw translate(second, call);
      }
    }
  }

  close(): void {
    this.#client.destroy();
    this.#options.http.destroy();
  }

  /**
   * A server that only wants another region in the signature is asked again with that, where nobody named one: the host
   * stays the same, so what is signed goes nowhere else.
   */
  #learnsRegion(error: unknown, client: S3Client): boolean {
    const refusal = readRefusal(error);
    if (refusal?.region === undefined || this.#options.isRegionFixed) return false;
    if (client !== this.#client) return refusal.region === this.#region;
    if (refusal.region === this.#region) return false;
    this.#region = refusal.region;
    this.#client = makeClient(this.#options, refusal.region);
    return true;
  }
}

const payloadHashHeader = 'x-amz-content-sha256';

function makeClient(options: S3RequestsOptions, region: string): S3Client {
  const { location, credentials, isPathStyle } = options;
  const config: S3ClientConfig = {
    endpoint: `${location.isEncrypted ? 'https' : 'http'}://${location.endpoint}`,
    region,
    forcePathStyle: isPathStyle,
    requestHandler: options.http,
    // Ours are around it, and know of more.
    maxAttempts: 1,
    retryMode: 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Waiting for leave to send a body costs a round trip for each pack.
    expectContinueHeader: false,
    followRegionRedirects: false,
    // All that would otherwise be looked up in files.
    defaultsMode: 'standard',
    disableS3ExpressSessionAuth: true,
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    userAgentAppId: '',
    authSchemePreference: [],
    logger: silentLogger,
    credentials: credentials ?? { accessKeyId: 'anonymous', secretAccessKey: 'anonymous' },
    ...(!credentials && { signer: { sign: async (request) => request } }),
  };
  const client = new S3Client(config);
  client.middlewareStack.remove('getUserAgentMiddleware');
  client.middlewareStack.add(
    (next) => async (args) => {
      addHashes(args.request);
      return await next(args);
    },
    { step: 'build', name: 'holdfastPayloadHash' },
  );
  return client;
}

/**
 * Has a body that knows its hash signed with that. A list of what to delete gets the hash that was the first to be asked for,
 * without which some servers refuse it.
 */
function addHashes(request: unknown): void {
  if (typeof request !== 'object' || request === null || !('headers' in request)) return;
  const { headers } = request;
  const body = 'body' in request ? request.body : undefined;
  if (typeof headers !== 'object' || headers === null) return;
  if (body instanceof PartsBody) {
    Object.assign(headers, { [payloadHashHeader]: body.sha256 });
  } else if ((typeof body === 'string' || body instanceof Uint8Array) && body.length > 0) {
    Object.assign(headers, { 'content-md5': createHash('md5').update(body).digest('base64') });
  }
}
