import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { systemClock } from '../../src/base/clock.ts';
import type { SeenRequest } from './scripted-http.ts';

interface Version {
  readonly id: string;
  /** As HTTP writes times. */
  readonly stored: string;
  readonly content: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  policy: { readonly until: string; readonly mode: string } | undefined;
}

interface Blob {
  /** Oldest first. */
  readonly versions: Version[];
  current: Version | undefined;
}

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

const policyTime = 'x-ms-immutability-policy-until-date';
const policyMode = 'x-ms-immutability-policy-mode';

/**
 * A model of one container of Azure Blob Storage with versions and version-level immutability, by the description of its REST
 * interface: azurite has neither. Signatures are not looked at.
 *
 * @see learn.microsoft.com/azure/storage/blobs/immutable-version-level-worm-policies
 */
export class ModelAzure {
  readonly blobs = new Map<string, Blob>();
  #count = 0;

  readonly answer = (request: SeenRequest, response: ServerResponse): void => {
    const { status, headers, body } = this.#reply(request);
    response.writeHead(status, { date: nowText(), ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  };

  /** Deletes every blob and tries to delete every version, as a thief would. @returns how many versions were refused */
  destroy(): number {
    let refusedCount = 0;
    for (const [name, blob] of this.blobs) {
      this.put(name, Buffer.from('noise'));
      blob.current = undefined;
      for (const version of blob.versions.slice()) {
        if (this.#remove(blob, version.id).status !== 202) refusedCount++;
      }
    }
    return refusedCount;
  }

  put(name: string, content: Buffer, headers: SeenRequest['headers'] = {}): Version {
    const id = new Date(1_700_000_000_000 + this.#count++).toISOString().replace('Z', '0000Z');
    const { [policyTime]: until, [policyMode]: mode } = headers;
    const kept = Object.entries(headers).filter(([key]) => key.startsWith('x-ms-meta-'));
    const version: Version = {
      id,
      stored: nowText(),
      content,
      headers: Object.fromEntries(kept.map(([key, value]) => [key, String(value)])),
      policy: until === undefined ? undefined : { until: String(until), mode: String(mode) },
    };
    const blob = this.blobs.get(name) ?? { versions: [], current: undefined };
    this.blobs.set(name, blob);
    blob.versions.push(version);
    blob.current = version;
    return version;
  }

  #reply(request: SeenRequest): Reply {
    const { pathname, searchParams: query } = new URL(request.url, 'http://model');
    const [, , , ...parts] = pathname.split('/');
    const name = decodeURIComponent(parts.join('/'));
    if (name === '') return query.get('comp') === 'list' ? this.#list(query) : ofContainer;
    if (query.get('comp') === 'immutabilityPolicies') return this.#setPolicy(name, query, request);
    if (request.method === 'PUT') return this.#upload(name, request);
    const blob = this.blobs.get(name);
    const id = query.get('versionid');
    const version = id === null ? blob?.current : blob?.versions.find((each) => each.id === id);
    if (!blob || !version) return refusal(404, 'BlobNotFound');
    if (request.method !== 'DELETE') return contentOf(version, request);
    if (id !== null) return this.#remove(blob, id);
    blob.current = undefined;
    return { status: 202 };
  }

  #upload(name: string, { body, headers }: SeenRequest): Reply {
    if (headers['if-none-match'] === '*' && this.blobs.get(name)?.current) {
      return refusal(409, 'BlobAlreadyExists');
    }
    return { status: 201, headers: { 'x-ms-version-id': this.put(name, body, headers).id } };
  }

  #remove(blob: Blob, id: string): Reply {
    const version = blob.versions.find((each) => each.id === id);
    if (!version) return refusal(404, 'BlobNotFound');
    if (isLocked(version)) return refusal(409, 'BlobImmutableDueToPolicy');
    blob.versions.splice(blob.versions.indexOf(version), 1);
    if (blob.current === version) blob.current = undefined;
    return { status: 202 };
  }

  #setPolicy(name: string, query: URLSearchParams, { method, headers }: SeenRequest): Reply {
    const blob = this.blobs.get(name);
    const version = blob?.versions.find(({ id }) => id === query.get('versionid'));
    if (!version) return refusal(404, 'BlobNotFound');
    const until = String(headers[policyTime] ?? '');
    const mode = String(headers[policyMode] ?? '');
    if (version.policy?.mode.toLowerCase() === 'locked') {
      const isLonger = Date.parse(until) >= Date.parse(version.policy.until);
      if (method === 'DELETE' || !isLonger || mode.toLowerCase() !== 'locked') {
        return refusal(409, 'BlobImmutableDueToPolicy');
      }
    }
    version.policy = method === 'DELETE' ? undefined : { until, mode };
    return { status: 200 };
  }

  #list(query: URLSearchParams): Reply {
    const withVersions = query.get('include')?.includes('versions') ?? false;
    const prefix = query.get('prefix') ?? '';
    const names = [...this.blobs.keys()].filter((name) => name.startsWith(prefix)).sort();
    const entries = names.flatMap((name) => {
      const blob = this.blobs.get(name);
      const current = blob?.current;
      if (!withVersions) return current ? [entryOf(name, current, '')] : [];
      return (blob?.versions ?? []).map((version) => {
        const isCurrent = version === current ? '<IsCurrentVersion>true</IsCurrentVersion>' : '';
        return entryOf(name, version, `<VersionId>${version.id}</VersionId>${isCurrent}`);
      });
    });
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0"?><EnumerationResults><Blobs>${entries.join('')}</Blobs><NextMarker/></EnumerationResults>`,
    };
  }
}

const ofContainer: Reply = {
  status: 200,
  headers: { 'x-ms-immutable-storage-with-versioning-enabled': 'true' },
};

function refusal(status: number, code: string): Reply {
  const headers = { 'content-type': 'application/xml', 'x-ms-error-code': code };
  return { status, headers, body: `<?xml version="1.0"?><Error><Code>${code}</Code></Error>` };
}

function isLocked({ policy }: Version): boolean {
  return policy !== undefined && Date.parse(policy.until) > systemClock.wallMs();
}

function nowText(): string {
  return new Date(systemClock.wallMs()).toUTCString();
}

function md5(content: Buffer): string {
  return createHash('md5').update(content).digest('base64');
}

function contentOf({ id, stored, content, headers, policy }: Version, request: SeenRequest): Reply {
  const text = String(request.headers['x-ms-range'] ?? request.headers.range ?? '');
  const [, first, last] = /^bytes=([0-9]+)-([0-9]*)$/.exec(text) ?? [];
  const start = Number(first ?? 0);
  if (first !== undefined && start >= content.length) return refusal(416, 'InvalidRange');
  const end = Math.min(last ? Number(last) + 1 : content.length, content.length);
  const body = content.subarray(start, end);
  return {
    status: first === undefined ? 200 : 206,
    headers: {
      ...headers,
      'x-ms-version-id': id,
      'x-ms-blob-type': 'BlockBlob',
      etag: '"0x1"',
      'last-modified': stored,
      'content-length': String(body.length),
      ...(first !== undefined && {
        'content-range': `bytes ${start}-${end - 1}/${content.length}`,
      }),
      ...(policy && { [policyTime]: policy.until, [policyMode]: policy.mode.toLowerCase() }),
    },
    body,
  };
}

function entryOf(name: string, { stored, content }: Version, more: string): string {
  const properties = [
    `<Last-Modified>${stored}</Last-Modified><Etag>0x1</Etag>`,
    `<Content-Length>${content.length}</Content-Length>`,
    `<Content-MD5>${md5(content)}</Content-MD5><BlobType>BlockBlob</BlobType>`,
  ].join('');
  return `<Blob><Name>${name}</Name>${more}<Properties>${properties}</Properties></Blob>`;
}
