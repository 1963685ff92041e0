import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import type { Dialect } from './dialects.ts';
import { Refusal, refuse } from './refusal.ts';
import type { S3Request } from './request.ts';

/**
 * The content that a request brings, once all that it says of it holds.
 *
 * @throws Refusal
 */
export function checkedBody(request: S3Request, dialect: Dialect): Buffer {
  const { headers } = request;
  const said = String(headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD');
  const { content, trailers } = said.startsWith('STREAMING-')
    ? unframed(request, said, dialect)
    : { content: request.body, trailers: {} };
  if (/^[0-9a-f]{64}$/.test(said) && hash('sha256', content, 'hex') !== said) {
    throw new Refusal(dialect.wrongPayloadHash);
  }
  checkMd5(headers['content-md5'], content);
  checkChecksums({ ...headers, ...trailers }, content, dialect);
  return content;
}

/** Whether a request brings a sum of its body beside the signature. */
export function hasChecksum({ headers }: S3Request): boolean {
  return (
    headers['content-md5'] !== undefined ||
    Object.keys(headers).some((name) => /^x-amz-(?:sdk-)?checksum-/.test(name)) ||
    headers['x-amz-trailer'] !== undefined
  );
}

/** The checksums that are stored with an object and told again. */
export function keptChecksums({ headers }: S3Request): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) =>
    /^x-amz-(?:checksum-(?!algorithm|type|mode)|meta-)/.test(name),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

function checkMd5(said: string | string[] | undefined, content: Buffer): void {
  if (said === undefined) return;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(String(said))) throw refuse(400, 'InvalidDigest');
  if (hash('md5', content, 'base64') !== said) throw refuse(400, 'BadDigest');
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

function checkChecksums(headers: Headers, content: Buffer, { checksums }: Dialect): void {
  const sums: Readonly<Record<string, () => string>> = {
    'x-amz-checksum-crc32': () => crc32Text(content),
    'x-amz-checksum-sha1': () => hash('sha1', content, 'base64'),
    'x-amz-checksum-sha256': () => hash('sha256', content, 'base64'),
  };
  const named = headers['x-amz-sdk-checksum-algorithm'] !== undefined;
  for (const [name, sumOf] of Object.entries(sums)) {
    const said = headers[name];
    if (said === undefined || checksums === 'ignored') continue;
    if (typeof checksums === 'object') throw new Refusal(checksums);
    if (checksums === 'checked-if-named' && !named) continue;
    if (sumOf() !== said) throw refuse(400, 'BadDigest');
  }
}

function crc32Text(content: Buffer): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(content));
  return bytes.toString('base64');
}

function hash(algorithm: string, content: Buffer, form: 'hex' | 'base64'): string {
  return createHash(algorithm).update(content).digest(form);
}

interface Unframed {
  readonly content: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

/** Takes the frames of `aws-chunked` away. Signatures of single frames are passed over. */
function unframed({ headers, body }: S3Request, said: string, dialect: Dialect): Unframed {
  if (said.endsWith('-TRAILER') && dialect.trailers !== 'taken')
    throw new Refusal(dialect.trailers);
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.toString('latin1', at, Math.max(lineEnd, at)), 16);
    if (lineEnd < 0 || Number.isNaN(size)) throw refuse(400, 'IncompleteBody');
    at = lineEnd + 2;
    if (size === 0) break;
    parts.push(body.subarray(at, at + size));
    at += size + 2;
  }
  const content = Buffer.concat(parts);
  if (content.byteLength !== Number(headers['x-amz-decoded-content-length'])) {
    throw refuse(400, 'IncompleteBody');
  }
  const lines = body
    .toString('latin1', at)
    .split('\r\n')
    .filter((line) => line.includes(':'));
  const trailers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { content, trailers };
}
