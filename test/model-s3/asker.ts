import { createHash } from 'node:crypto';

import { PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

import { silentLogger } from '../../src/storage/s3/credentials.ts';

/** A server that is asked. */
export interface AskedServer {
  readonly endpoint: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** What a server said to one question: a status, the code of an error, and what else matters. */
export type Said = Readonly<Record<string, unknown>>;

/** What is asked, by a name for it; later questions build on what earlier ones have done. */
export type Questions = readonly (readonly [
  name: string,
  ask: (asker: Asker) => Promise<unknown>,
])[];

/** Puts questions to one server. */
export class Asker {
  readonly client: S3Client;
  readonly ids: Record<string, string> = {};
  readonly #server: AskedServer;

  constructor(server: AskedServer) {
    this.#server = server;
    this.client = this.clientWith({});
  }

  /** A client like the usual one, but for `more`. */
  clientWith(more: S3ClientConfig): S3Client {
    const { endpoint, variables } = this.#server;
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      logger: silentLogger,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      credentials: this.credentials(variables['AWS_SECRET_ACCESS_KEY'] ?? ''),
      ...more,
    });
    client.middlewareStack.add(
      (next) => async (args) => {
        addMd5(args.request);
        return await next(args);
      },
      { step: 'build', name: 'md5' },
    );
    return client;
  }

  credentials(secretAccessKey: string): { accessKeyId: string; secretAccessKey: string } {
    return { accessKeyId: this.#server.variables['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey };
  }

  put(bucket: string, key: string, more: Partial<PutObjectCommand['input']> = {}): Promise<Out> {
    return this.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: `content of ${key}`, ...more }),
    );
  }
}

type Out = { readonly $metadata: unknown };

function addMd5(request: unknown): void {
  if (typeof request !== 'object' || request === null || !('headers' in request)) return;
  const { headers } = request;
  const body = 'body' in request ? request.body : undefined;
  if (typeof headers !== 'object' || headers === null) return;
  if (typeof body !== 'string' || !body.startsWith('<')) return;
  Object.assign(headers, { 'content-md5': createHash('md5').update(body).digest('base64') });
}

/** Puts all questions, one after the other. */
export async function askAll(
  server: AskedServer,
  questions: Questions,
): Promise<Record<string, Said>> {
  const asker = new Asker(server);
  const answers: Record<string, Said> = {};
  try {
    for (const [name, ask] of questions) answers[name] = await said(ask(asker));
  } finally {
    asker.client.destroy();
  }
  return answers;
}

async function said(answer: Promise<unknown>): Promise<Said> {
  try {
    return shown(await answer);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { $metadata: metadata } = error as { $metadata?: { httpStatusCode?: number } };
    return { status: metadata?.httpStatusCode, code: error.name };
  }
}

const compared: readonly string[] = [
  'ContentLength',
  'ETag',
  'IsTruncated',
  'KeyCount',
  'MaxKeys',
  'DeleteMarker',
  'ObjectLockMode',
  'Status',
];

/** What of an answer can be the same on two servers. */
function shown(answer: unknown): Said {
  if (typeof answer !== 'object' || answer === null) return { answer };
  const all = answer as Record<string, unknown>;
  const metadata = all['$metadata'] as { httpStatusCode?: number } | undefined;
  const picked = Object.fromEntries(
    compared.filter((name) => all[name] !== undefined).map((name) => [name, all[name]]),
  );
  return {
    status: metadata?.httpStatusCode,
    ...picked,
    ...(metadata?.httpStatusCode === 206 && { ContentRange: all['ContentRange'] }),
    ...(all['VersionId'] !== undefined && {
      VersionId: all['VersionId'] === 'null' ? 'null' : 'some',
    }),
    ...lists(all),
    ...('more' in all && { more: all['more'] }),
  };
}

/** What a listing holds, in words. */
export function lists(answer: Record<string, unknown>): Said {
  const read = (name: string, ...members: readonly string[]): Said => {
    const entries = answer[name];
    if (!Array.isArray(entries)) return {};
    const show = (entry: Record<string, string | number | boolean | undefined>): string =>
      members.map((member) => `${entry[member] ?? false}`).join(' ');
    const shownEntries = entries.map(show);
    // Servers remove at once, in an order of their own.
    return { [name]: name === 'Deleted' || name === 'Errors' ? shownEntries.sort() : shownEntries };
  };
  return {
    ...read('Contents', 'Key', 'Size', 'ETag'),
    ...read('CommonPrefixes', 'Prefix'),
    ...read('Versions', 'Key', 'Size', 'IsLatest'),
    ...read('DeleteMarkers', 'Key', 'IsLatest'),
    ...read('Deleted', 'Key', 'DeleteMarker'),
    ...read('Errors', 'Key', 'Code'),
  };
}
