import type { IncomingHttpHeaders } from 'node:http';

/** A request, taken apart. */
export interface S3Request {
  readonly method: string;
  /** As it came, still escaped: what was signed. */
  readonly path: string;
  /** As it came, without the question mark. */
  readonly queryText: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingHttpHeaders;
  /** As it was sent: with the frames of `aws-chunked`, if it has them. */
  readonly body: Buffer;
  readonly bucket: string;
  /** Empty for a request of the bucket. */
  readonly key: string;
  /** The name of the operation by Amazon's description: `GetObject`. */
  readonly operation: string;
}

/** What is known of a request before it is taken apart. */
export interface RawRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Takes a request apart. The bucket stands in the host, where that is `BUCKET.` before one of `hosts`; otherwise it is the
 * first part of the path. A URL with a host, as a proxy gets it, is taken as one without.
 */
export function parseRequest(raw: RawRequest, hosts: readonly string[]): S3Request {
  const { method, headers, body } = raw;
  const url = raw.url.replace(/^http:\/\/[^/]*/, '');
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const queryText = mark < 0 ? '' : url.slice(mark + 1);
  const inHost = bucketInHost(headers.host ?? '', hosts);
  const parts = path.slice(1);
  const slash = parts.indexOf('/');
  const inPath = slash < 0 ? parts : parts.slice(0, slash);
  const bucket = inHost ?? unescaped(inPath);
  const key = unescaped(inHost === undefined ? (slash < 0 ? '' : parts.slice(slash + 1)) : parts);
  const query = parseQuery(queryText);
  const operation = operationOf({ method, query, headers, bucket, key });
  return { method, path, queryText, query, headers, body, bucket, key, operation };
}

function bucketInHost(host: string, hosts: readonly string[]): string | undefined {
  for (const known of hosts) {
    if (host.endsWith(`.${known}`)) return host.slice(0, -known.length - 1);
  }
  return undefined;
}

function parseQuery(text: string): ReadonlyMap<string, string> {
  const pairs = text.split('&').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [unescaped(name), unescaped(value.join('=').replaceAll('+', ' '))];
    }),
  );
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

interface Naming {
  readonly method: string;
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingHttpHeaders;
  readonly bucket: string;
  readonly key: string;
}

/** Method and parameter of the query by what they ask for, of a bucket. */
const bucketOperations: Readonly<Record<string, string>> = {
  'GET versioning': 'GetBucketVersioning',
  'PUT versioning': 'PutBucketVersioning',
  'GET object-lock': 'GetObjectLockConfiguration',
  'PUT object-lock': 'PutObjectLockConfiguration',
  'GET location': 'GetBucketLocation',
  'GET versions': 'ListObjectVersions',
  'POST delete': 'DeleteObjects',
  'GET uploads': 'ListMultipartUploads',
  HEAD: 'HeadBucket',
  PUT: 'CreateBucket',
  DELETE: 'DeleteBucket',
  GET: 'ListObjects',
};

const objectOperations: Readonly<Record<string, string>> = {
  'GET retention': 'GetObjectRetention',
  'PUT retention': 'PutObjectRetention',
  'GET legal-hold': 'GetObjectLegalHold',
  'PUT legal-hold': 'PutObjectLegalHold',
  'POST restore': 'RestoreObject',
  'POST uploads': 'CreateMultipartUpload',
  'PUT uploadId': 'UploadPart',
  'POST uploadId': 'CompleteMultipartUpload',
  'DELETE uploadId': 'AbortMultipartUpload',
  'GET acl': 'GetObjectAcl',
  'GET tagging': 'GetObjectTagging',
  HEAD: 'HeadObject',
  GET: 'GetObject',
  PUT: 'PutObject',
  DELETE: 'DeleteObject',
};

function operationOf({ method, query, headers, bucket, key }: Naming): string {
  if (bucket === '') return 'ListBuckets';
  const table = key === '' ? bucketOperations : objectOperations;
  const special = [...query.keys()].find((name) => `${method} ${name}` in table);
  const name = table[special === undefined ? method : `${method} ${special}`] ?? 'Unknown';
  if (name === 'ListObjects' && query.get('list-type') === '2') return 'ListObjectsV2';
  return name === 'PutObject' && headers['x-amz-copy-source'] ? 'CopyObject' : name;
}
