import { createHash } from 'node:crypto';
import http from 'node:http';

import { afterAll, beforeAll } from 'vitest';
import { portOf } from './server-port.ts';

interface Stored {
  readonly content: Buffer;
  readonly md5Hash: string;
}

/** A model of Google Cloud Storage: the requests of its JSON API that stores make, and the one of its XML API that vendors' clients read by. */
export interface ModelGoogle {
  /** For STORAGE_EMULATOR_HOST. */
  readonly address: string;
  /** Contents by name. */
  readonly buckets: ReadonlyMap<string, Map<string, Stored>>;
  plant(bucket: string, name: string, content: Uint8Array): void;
}

interface Answer {
  readonly status: number;
  readonly body?: object | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Starts the model for one test file. @see https://cloud.google.com/storage/docs/json_api/v1 */
export function startModelGoogle(): ModelGoogle {
  const model = new Model();
  const started = {
    address: '',
    buckets: model.buckets,
    plant: (bucket: string, name: string, content: Uint8Array) =>
      void model.buckets.get(bucket)?.set(name, storedOf(Buffer.from(content))),
  };
  const server = http.createServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('end', () => {
      const { status, body, headers = {} } = model.answer(message, Buffer.concat(chunks));
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body ? JSON.stringify(body) : '');
      const type = Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json';
      response.writeHead(status, {
        'content-type': type,
        'content-length': bytes.length,
        ...headers,
      });
      response.end(bytes);
    });
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    started.address = `127.0.0.1:${portOf(server)}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return started;
}

const pageSizeMax = 25;

class Model {
  readonly buckets = new Map<string, Map<string, Stored>>();

  answer({ method, url = '', headers }: http.IncomingMessage, body: Buffer): Answer {
    const { pathname, searchParams: query } = new URL(url, 'http://model');
    const [, upload, bucketName, isObjects, name] =
      /^\/(upload\/)?storage\/v1\/b(?:\/([^/]+))?(\/o)?(?:\/(.+))?$/.exec(pathname) ?? [];
    if (bucketName === undefined) {
      if (method === 'GET') return this.#readByXml(pathname, headers.range);
      const { name: made } = JSON.parse(body.toString());
      this.buckets.set(made, new Map());
      return { status: 200, body: { name: made } };
    }
    const bucket = this.buckets.get(bucketName);
    if (!bucket) return refusal(404, 'notFound', 'The specified bucket does not exist.');
    if (upload) return insert(bucket, { query, body, type: headers['content-type'] ?? '' });
    if (!isObjects) return { status: 200, body: { kind: 'storage#bucket', name: bucketName } };
    if (name === undefined) return list(bucket, query);
    const stored = bucket.get(decodeURIComponent(name));
    if (!stored) return refusal(404, 'notFound', `No such object: ${name}`);
    if (method === 'DELETE') {
      bucket.delete(decodeURIComponent(name));
      return { status: 204 };
    }
    if (query.get('alt') === 'media') return part(stored, headers.range);
    return { status: 200, body: resource(decodeURIComponent(name), stored) };
  }

  #readByXml(path: string, range: string | undefined): Answer {
    const [, bucket = '', name = ''] = /^\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const stored = this.buckets.get(bucket)?.get(decodeURIComponent(name));
    return stored ? part(stored, range) : refusal(404, 'notFound', 'No such object');
  }
}

function insert(
  bucket: Map<string, Stored>,
  { query, body, type }: { query: URLSearchParams; body: Buffer; type: string },
): Answer {
  const boundary = /boundary="?([^";]+)/.exec(type)?.[1] ?? '';
  const mark = `--${boundary}`;
  const start = body.indexOf('\r\n\r\n') + 4;
  const second = body.indexOf(mark, start);
  const metadata = JSON.parse(body.toString('utf8', start, second));
  const content = body.subarray(
    body.indexOf('\r\n\r\n', second) + 4,
    body.lastIndexOf(`\r\n${mark}--`),
  );
  const name = query.get('name') ?? metadata.name;
  const stored = storedOf(Buffer.from(content));
  if (query.get('ifGenerationMatch') === '0' && bucket.has(name)) {
    return refusal(412, 'conditionNotMet', 'At least one of the pre-conditions did not hold.');
  }
  if (metadata.md5Hash !== undefined && metadata.md5Hash !== stored.md5Hash) {
    return refusal(400, 'invalid', 'Provided MD5 hash does not match the calculated one.');
  }
  bucket.set(name, stored);
  return { status: 200, body: resource(name, stored) };
}

function list(bucket: Map<string, Stored>, query: URLSearchParams): Answer {
  const prefix = query.get('prefix') ?? '';
  const from = query.get('pageToken') ?? '';
  const names = [...bucket.keys()].filter((name) => name.startsWith(prefix) && name > from).sort();
  const page = names.slice(0, pageSizeMax);
  const next = names.length > page.length ? { nextPageToken: page.at(-1) } : {};
  const items = page.flatMap((name) => {
    const stored = bucket.get(name);
    return stored ? [resource(name, stored)] : [];
  });
  return {
    status: 200,
    body: { kind: 'storage#objects', ...(items.length && { items }), ...next },
  };
}

function part({ content }: Stored, range: string | undefined): Answer {
  const [, first, last] = /^bytes=([0-9]+)-([0-9]*)$/.exec(range ?? '') ?? [];
  const generation = { 'x-goog-generation': '1', 'x-goog-metageneration': '1' };
  if (first === undefined) return { status: 200, body: content, headers: generation };
  if (Number(first) >= content.length) return refusal(416, 'requestedRangeNotSatisfiable', '');
  const end = Math.min(last ? Number(last) + 1 : content.length, content.length);
  return {
    status: 206,
    body: content.subarray(Number(first), end),
    headers: { ...generation, 'content-range': `bytes ${first}-${end - 1}/${content.length}` },
  };
}

function storedOf(content: Buffer): Stored {
  return { content, md5Hash: createHash('md5').update(content).digest('base64') };
}

function resource(name: string, { content, md5Hash }: Stored): object {
  return { kind: 'storage#object', name, size: String(content.length), md5Hash, generation: '1' };
}

function refusal(code: number, reason: string, message: string): Answer {
  const errors = [{ domain: 'global', reason, message }];
  return { status: code, body: { error: { code, message, errors } } };
}
