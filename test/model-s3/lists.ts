import type { ModelBucket, Version } from './bucket.ts';
import type { S3Request } from './request.ts';
import type { XmlElement } from './xml.ts';

/** More than a server puts into one answer. */
export const pageSizeMaxDefault: number = 1000;

interface Page {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  /** The last of what the page stands for; undefined: there is no more. */
  readonly last: string | undefined;
}

interface PageRequest {
  readonly prefix: string;
  readonly delimiter: string;
  /** What comes after it. */
  readonly after: string;
  readonly sizeMax: number;
}

function pageOf(keys: Iterable<string>, request: PageRequest): Page {
  const { prefix, delimiter, after, sizeMax } = request;
  const found: string[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  for (const key of keys) {
    if (!key.startsWith(prefix) || compare(key, after) <= 0) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? undefined : key.slice(0, at + delimiter.length);
    if (common !== undefined && (common === prefixes.at(-1) || after.startsWith(common))) continue;
    if (found.length + prefixes.length >= sizeMax) {
      return { keys: found, prefixes, last: last ?? after };
    }
    if (common === undefined) found.push(key);
    else prefixes.push(common);
    last = common ?? key;
  }
  return { keys: found, prefixes, last: undefined };
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** What a listing is made by. */
export interface ListRules {
  readonly pageSizeMax: number;
  readonly inOrder: boolean;
}

/** ListObjects and ListObjectsV2. */
export function listObjects(
  bucket: ModelBucket,
  { query, operation }: S3Request,
  rules: ListRules,
): XmlElement {
  const isSecond = operation === 'ListObjectsV2';
  const from = isSecond
    ? tokenKey(query.get('continuation-token')) || (query.get('start-after') ?? '')
    : (query.get('marker') ?? '');
  const sizeMax = Math.min(Number(query.get('max-keys') ?? rules.pageSizeMax), rules.pageSizeMax);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const there = bucket.keys.filter((key) => bucket.current(key));
  const page = pageOf(there, { prefix, delimiter, after: from, sizeMax });
  const write = writerFor(query);
  const keys = rules.inOrder ? page.keys : page.keys.toReversed();
  const contents = keys.flatMap((key): XmlElement[] => {
    const version = bucket.current(key);
    return version ? [['Contents', describe(version, write)]] : [];
  });
  const next = page.last;
  return [
    'ListBucketResult',
    [
      ['Name', bucket.name],
      ['Prefix', write(prefix)],
      ['MaxKeys', sizeMax],
      ...encoding(query),
      ...(isSecond
        ? ([['KeyCount', page.keys.length + page.prefixes.length]] as const)
        : ([['Marker', write(from)]] as const)),
      ...(delimiter === '' ? [] : ([['Delimiter', write(delimiter)]] as const)),
      ['IsTruncated', next !== undefined],
      ...(next === undefined ? [] : nextOf(next, { isSecond, delimiter, write })),
      ...contents,
      ...commonPrefixes(page, write),
    ],
  ];
}

/** The first version names where to go on only where there is a delimiter. */
function nextOf(
  next: string,
  how: { readonly isSecond: boolean; readonly delimiter: string; readonly write: Write },
): readonly XmlElement[] {
  if (how.isSecond) return [['NextContinuationToken', tokenOf(next)]];
  return how.delimiter === '' ? [] : [['NextMarker', how.write(next)]];
}

function commonPrefixes({ prefixes }: Page, write: Write): XmlElement[] {
  return prefixes.map((prefix) => ['CommonPrefixes', [['Prefix', write(prefix)]]]);
}

type Write = (text: string) => string;

function writerFor(query: ReadonlyMap<string, string>): Write {
  if (query.get('encoding-type') !== 'url') return (text) => text;
  return (text) => encodeURIComponent(text).replaceAll('%2F', '/');
}

function encoding(query: ReadonlyMap<string, string>): readonly XmlElement[] {
  return query.get('encoding-type') === 'url' ? [['EncodingType', 'url']] : [];
}

function tokenOf(key: string): string {
  return Buffer.from(key).toString('base64');
}

function tokenKey(token: string | undefined): string {
  return Buffer.from(token ?? '', 'base64').toString();
}

function describe(version: Version, write: Write): readonly XmlElement[] {
  return [
    ['Key', write(version.key)],
    ['LastModified', new Date(version.modifiedMs).toISOString()],
    ['ETag', version.etag],
    ['Size', version.content?.byteLength ?? 0],
    ['StorageClass', version.storageClass],
  ];
}

/** ListObjectVersions: by key, of one key the newest first. */
export function listVersions(
  bucket: ModelBucket,
  { query }: S3Request,
  { pageSizeMax }: ListRules,
): XmlElement {
  const prefix = query.get('prefix') ?? '';
  const keyMarker = query.get('key-marker') ?? '';
  const idMarker = query.get('version-id-marker') ?? '';
  const write = writerFor(query);
  const sizeMax = Math.min(Number(query.get('max-keys') ?? pageSizeMax), pageSizeMax);
  const all = bucket.keys
    .filter((key) => key.startsWith(prefix) && compare(key, keyMarker) >= 0)
    .flatMap((key) => {
      const versions = bucket.versions.get(key) ?? [];
      if (key !== keyMarker) return versions;
      const at = versions.findIndex(({ id }) => id === idMarker);
      return idMarker === '' || at < 0 ? [] : versions.slice(at + 1);
    });
  const page = all.slice(0, sizeMax);
  const last = all.length > page.length ? page.at(-1) : undefined;
  return [
    'ListVersionsResult',
    [
      ['Name', bucket.name],
      ['Prefix', write(prefix)],
      ['KeyMarker', write(keyMarker)],
      ['VersionIdMarker', idMarker],
      ['MaxKeys', sizeMax],
      ...encoding(query),
      ['IsTruncated', last !== undefined],
      ...(last
        ? ([
            ['NextKeyMarker', write(last.key)],
            ['NextVersionIdMarker', last.id],
          ] as const)
        : []),
      ...page.map((version): XmlElement => describeVersion(bucket, version, write)),
    ],
  ];
}

function describeVersion(bucket: ModelBucket, version: Version, write: Write): XmlElement {
  const isLatest = bucket.latest(version.key) === version;
  const known: readonly XmlElement[] = [
    ['VersionId', version.id],
    ['IsLatest', isLatest],
  ];
  if (version.content) return ['Version', [...describe(version, write), ...known]];
  const marked: readonly XmlElement[] = [
    ['Key', write(version.key)],
    ['LastModified', new Date(version.modifiedMs).toISOString()],
  ];
  return ['DeleteMarker', [...marked, ...known]];
}
