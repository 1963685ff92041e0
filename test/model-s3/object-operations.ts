import { archiveHeaders, checkReadable, startThaw } from './archive.ts';
import { checkedBody, hasChecksum, keptChecksums } from './body.ts';
import type { ModelBucket, Version } from './bucket.ts';
import {
  changeRetention,
  checkRemoval,
  type LockRules,
  lockHeaders,
  retentionOfDocument,
  retentionOfPut,
} from './locks.ts';
import { Refusal, refuse } from './refusal.ts';
import { type Reply, xmlReply } from './reply.ts';
import type { BucketCall } from './state.ts';
import { elementsOf, textOf, type XmlElement } from './xml.ts';

/** PutObject. */
export function putObject(call: BucketCall): Reply {
  const { state, request, bucket } = call;
  const { headers, key } = request;
  checkCondition(call);
  const storageClass = storageClassOf(call);
  const { retention, isHeld } = retentionOfPut(bucket, headers, state);
  const needsSum = state.dialect.lockNeedsChecksum && (retention !== undefined || isHeld);
  if (needsSum && !hasChecksum(request)) throw refuse(400, 'InvalidRequest');
  const content = checkedBody(request, state.dialect);
  const kept = keptChecksums(request);
  const modifiedMs = state.nowMs;
  const version = bucket.add({ key, content, modifiedMs, storageClass, kept, retention, isHeld });
  return { status: 200, headers: { etag: version.etag, ...versionHeader(bucket, version) } };
}

function checkCondition({ state: { dialect }, request, bucket }: BucketCall): void {
  const { 'if-none-match': unless, 'if-match': only } = request.headers;
  if (unless === undefined && only === undefined) return;
  if (dialect.conditionalPut === 'refused') throw refuse(501, 'NotImplemented');
  if (dialect.conditionalPut === 'ignored-with-versions' && bucket.versioning !== 'off') return;
  const current = bucket.current(request.key);
  if (unless !== undefined && current && (unless === '*' || unless === current.etag)) {
    throw refuse(412, 'PreconditionFailed');
  }
  if (only !== undefined && only !== current?.etag) throw refuse(412, 'PreconditionFailed');
}

function storageClassOf({ state: { dialect }, request }: BucketCall): string {
  const said = String(request.headers['x-amz-storage-class'] ?? 'STANDARD');
  const { storageClasses } = dialect;
  if (storageClasses !== 'any' && !storageClasses.includes(said)) {
    throw new Refusal(dialect.wrongStorageClass);
  }
  return said;
}

/** CopyObject, within the model. */
export function copyObject(call: BucketCall): Reply {
  const { state, request, bucket } = call;
  const source = decodeURIComponent(String(request.headers['x-amz-copy-source']));
  const match = /^\/?(?<from>[^/]+)\/(?<key>.+?)(?:\?versionId=(?<id>.+))?$/.exec(source);
  const { from = '', key = '', id } = match?.groups ?? {};
  const version = state.buckets.get(from)?.[id === undefined ? 'current' : 'find'](key, id ?? '');
  if (!version?.content) throw refuse(404, id === undefined ? 'NoSuchKey' : 'NoSuchVersion');
  checkReadable(version, state.nowMs);
  const made = bucket.add({
    key: request.key,
    content: version.content,
    modifiedMs: state.nowMs,
    storageClass: storageClassOf(call),
    kept: version.kept,
    ...retentionOfPut(bucket, request.headers, state),
  });
  const modified = new Date(made.modifiedMs).toISOString();
  const reply = xmlReply([
    'CopyObjectResult',
    [
      ['ETag', made.etag],
      ['LastModified', modified],
    ],
  ]);
  return { ...reply, headers: { ...reply.headers, ...versionHeader(bucket, made) } };
}

/** GetObject and HeadObject. */
export function getObject(call: BucketCall): Reply {
  const { state, request } = call;
  const version = wantedVersion(call);
  const content = version.content ?? Buffer.alloc(0);
  checkReadConditions(call, version);
  if (request.method === 'GET') checkReadable(version, state.nowMs);
  const { range } = request.headers;
  const part = range === undefined ? undefined : rangeOf(call, range, content.byteLength);
  const headers = {
    'content-type': 'binary/octet-stream',
    'last-modified': new Date(version.modifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
    etag: version.etag,
    ...version.kept,
    ...lockHeaders(version),
    ...archiveHeaders(version, state.nowMs),
    ...versionHeader(call.bucket, version),
  };
  if (!part) return { status: 200, headers, body: content };
  const [start, end] = part;
  const contentRange = `bytes ${start}-${end - 1}/${content.byteLength}`;
  const body = content.subarray(start, end);
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body };
}

/** The version that a request names, or the newest. @throws Refusal */
function wantedVersion({ request, bucket, state: { dialect } }: BucketCall): Version {
  const id = request.query.get('versionId');
  const versions = bucket.versions.get(request.key) ?? [];
  if (id === undefined) {
    const latest = versions[0];
    if (latest?.content) return latest;
    const headers = latest
      ? { 'x-amz-delete-marker': 'true', ...versionHeader(bucket, latest) }
      : {};
    throw new Refusal({ status: 404, code: 'NoSuchKey' }, { headers });
  }
  if (!/^(?:null|[A-Za-z0-9._-]{16,})$/.test(id)) throw new Refusal(dialect.invalidVersion);
  const found = bucket.find(request.key, id);
  if (!found) throw new Refusal(dialect.noVersion);
  if (found.content) return found;
  const headers = { allow: 'DELETE', 'x-amz-delete-marker': 'true' };
  throw new Refusal(dialect.markerRead, { headers });
}

function checkReadConditions({ request: { headers } }: BucketCall, { etag }: Version): void {
  const { 'if-match': only, 'if-none-match': unless } = headers;
  if (only !== undefined && only !== etag) throw refuse(412, 'PreconditionFailed');
  if (unless === '*' || unless === etag) throw refuse(304, 'NotModified');
}

/** Undefined for what is no range: such a header is passed over. @throws Refusal */
function rangeOf(
  { state: { dialect } }: BucketCall,
  text: string,
  sizeBytes: number,
): readonly [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(text);
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (Number(last) === 0) throw refuse(416, 'InvalidRange');
    return [Math.max(0, sizeBytes - Number(last)), sizeBytes];
  }
  const start = Number(first);
  if (start >= sizeBytes) throw refuse(416, 'InvalidRange');
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (end > start) return [start, end];
  if (dialect.refusesBackwardRanges) throw refuse(416, 'InvalidRange');
  return undefined;
}

function versionHeader({ versioning }: ModelBucket, { id }: Version): Record<string, string> {
  return versioning === 'off' ? {} : { 'x-amz-version-id': id };
}

/** DeleteObject. */
export function deleteObject(call: BucketCall): Reply {
  const { request } = call;
  const removed = remove(call, request.key, request.query.get('versionId'));
  return {
    status: 204,
    headers: {
      ...(removed.versionId !== undefined && { 'x-amz-version-id': removed.versionId }),
      ...(removed.isMarker && { 'x-amz-delete-marker': 'true' }),
    },
  };
}

interface Removed {
  readonly versionId: string | undefined;
  /** A delete marker was made, or one is gone. */
  readonly isMarker: boolean;
}

function remove(call: BucketCall, key: string, id: string | undefined): Removed {
  const { bucket, state } = call;
  if (id !== undefined) {
    const version = bucket.find(key, id);
    if (!version) return { versionId: id, isMarker: false };
    checkRemoval(version, lockRules(call));
    bucket.drop(version);
    return { versionId: id, isMarker: version.content === undefined };
  }
  if (bucket.versioning === 'off') {
    const version = bucket.latest(key);
    if (version) bucket.drop(version);
    return { versionId: undefined, isMarker: false };
  }
  const marker = bucket.add({ key, content: undefined, modifiedMs: state.nowMs });
  return { versionId: marker.id, isMarker: true };
}

function lockRules({ state, request }: BucketCall): LockRules {
  const says = request.headers['x-amz-bypass-governance-retention'] === 'true';
  const bypasses = says && state.may('BypassGovernanceRetention');
  return { dialect: state.dialect, nowMs: state.nowMs, bypasses };
}

/** DeleteObjects: up to 1000, each with its own end. */
export function deleteObjects(call: BucketCall): Reply {
  const { request, state } = call;
  const { deletesNeedChecksum } = state.dialect;
  if (deletesNeedChecksum && !hasChecksum(request)) throw new Refusal(deletesNeedChecksum);
  const xml = checkedBody(request, state.dialect).toString();
  const isQuiet = textOf(xml, 'Quiet') === 'true';
  const wanted = elementsOf(xml, 'Object');
  if (wanted.length === 0 || wanted.length > 1000) throw refuse(400, 'MalformedXML');
  const results = wanted.flatMap((object): XmlElement[] => {
    const key = textOf(object, 'Key') ?? '';
    const versionId = textOf(object, 'VersionId');
    const named: readonly XmlElement[] = [
      ['Key', key],
      ...(versionId === undefined ? [] : ([['VersionId', versionId]] as const)),
    ];
    try {
      const removed = remove(call, key, versionId);
      const marker = removed.isMarker ? markerElements(removed) : [];
      return isQuiet ? [] : [['Deleted', [...named, ...marker]]];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [['Error', [...named, ['Code', error.code], ['Message', error.message]]]];
    }
  });
  return xmlReply(['DeleteResult', results]);
}

function markerElements({ versionId }: Removed): readonly XmlElement[] {
  return [
    ['DeleteMarker', true],
    ['DeleteMarkerVersionId', versionId ?? ''],
  ];
}

/** GetObjectRetention. */
export function getRetention(call: BucketCall): Reply {
  checkLocks(call);
  const { retention } = wantedVersion(call);
  if (!retention) throw new Refusal(call.state.dialect.noRetention);
  return xmlReply([
    'Retention',
    [
      ['Mode', retention.mode],
      ['RetainUntilDate', new Date(retention.untilMs).toISOString()],
    ],
  ]);
}

/** PutObjectRetention. */
export function putRetention(call: BucketCall): Reply {
  checkLocks(call);
  const version = wantedVersion(call);
  const xml = checkedBody(call.request, call.state.dialect).toString();
  changeRetention(version, retentionOfDocument(xml, call.state.nowMs), lockRules(call));
  return { status: 200 };
}

/** GetObjectLegalHold. */
export function getLegalHold(call: BucketCall): Reply {
  checkLocks(call);
  return xmlReply(['LegalHold', [['Status', wantedVersion(call).isHeld ? 'ON' : 'OFF']]]);
}

/** PutObjectLegalHold. */
export function putLegalHold(call: BucketCall): Reply {
  checkLocks(call);
  const status = textOf(checkedBody(call.request, call.state.dialect).toString(), 'Status');
  if (status !== 'ON' && status !== 'OFF') throw refuse(400, 'MalformedXML');
  wantedVersion(call).isHeld = status === 'ON';
  return { status: 200 };
}

function checkLocks({ bucket, state: { dialect } }: BucketCall): void {
  if (dialect.objectLock === 'none') throw refuse(501, 'NotImplemented');
  if (!bucket.hasLock) throw new Refusal(dialect.lockWithoutBucketLock);
}

/** RestoreObject. */
export function restoreObject(call: BucketCall): Reply {
  const { state, request } = call;
  if (!state.dialect.hasArchives) throw refuse(501, 'NotImplemented');
  const version = wantedVersion(call);
  return {
    status: startThaw(version, checkedBody(request, state.dialect).toString(), state.nowMs),
  };
}
