import { checkedBody } from './body.ts';
import { type DefaultRetention, ModelBucket } from './bucket.ts';
import { listObjects, listVersions } from './lists.ts';
import {
  copyObject,
  deleteObject,
  deleteObjects,
  getLegalHold,
  getObject,
  getRetention,
  putLegalHold,
  putObject,
  putRetention,
  restoreObject,
} from './object-operations.ts';
import { Refusal, refuse } from './refusal.ts';
import { type Reply, xmlReply } from './reply.ts';
import type { S3Request } from './request.ts';
import type { BucketCall, ModelState } from './state.ts';
import { textOf, type XmlElement } from './xml.ts';

const dayMs = 24 * 3_600_000;

/** Every operation of a bucket that is there, and of its objects. */
const operations: Readonly<Record<string, (call: BucketCall) => Reply>> = {
  HeadBucket: ({ state }) => ({ status: 200, headers: { 'x-amz-bucket-region': state.region } }),
  DeleteBucket: deleteBucket,
  GetBucketLocation: ({ state: { region } }) =>
    xmlReply(['LocationConstraint', region === 'us-east-1' ? '' : region]),
  GetBucketVersioning: ({ bucket: { versioning } }) =>
    xmlReply(['VersioningConfiguration', versioning === 'off' ? '' : [['Status', versioning]]]),
  PutBucketVersioning: putVersioning,
  GetObjectLockConfiguration: getLock,
  PutObjectLockConfiguration: putLock,
  ListObjects: (call) => xmlReply(listObjects(call.bucket, call.request, listRules(call))),
  ListObjectsV2: (call) => xmlReply(listObjects(call.bucket, call.request, listRules(call))),
  ListObjectVersions: (call) => {
    if (call.state.dialect.versioning === 'none') throw refuse(501, 'NotImplemented');
    return xmlReply(listVersions(call.bucket, call.request, listRules(call)));
  },
  DeleteObjects: deleteObjects,
  PutObject: putObject,
  CopyObject: copyObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  GetObjectRetention: getRetention,
  PutObjectRetention: putRetention,
  GetObjectLegalHold: getLegalHold,
  PutObjectLegalHold: putLegalHold,
  RestoreObject: restoreObject,
};

/** Does what a request asks for. @throws Refusal */
export function operate(request: S3Request, state: ModelState): Reply {
  const { operation } = request;
  if (operation === 'ListBuckets') return listBuckets(state);
  if (operation === 'CreateBucket') return createBucket(request, state);
  const bucket = state.buckets.get(request.bucket);
  if (!bucket) {
    throw new Refusal(
      { status: 404, code: 'NoSuchBucket' },
      { elements: [['BucketName', request.bucket]] },
    );
  }
  const run = operations[operation];
  if (!run) throw refuse(501, 'NotImplemented');
  return run({ state, request, bucket });
}

function listBuckets({ buckets }: ModelState): Reply {
  const all = [...buckets.values()].map(
    ({ name, madeMs }): XmlElement => [
      'Bucket',
      [
        ['Name', name],
        ['CreationDate', new Date(madeMs).toISOString()],
      ],
    ],
  );
  return xmlReply(['ListAllMyBucketsResult', [['Buckets', all]]]);
}

function createBucket({ bucket: name, headers }: S3Request, state: ModelState): Reply {
  const { dialect, buckets, nowMs } = state;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) throw refuse(400, 'InvalidBucketName');
  if (buckets.has(name)) {
    if (dialect.bucketAgain) throw new Refusal(dialect.bucketAgain);
    return { status: 200 };
  }
  const bucket = new ModelBucket(name, nowMs);
  if (dialect.versioning === 'always') bucket.versioning = 'Enabled';
  if (headers['x-amz-bucket-object-lock-enabled'] === 'true') {
    if (dialect.objectLock === 'none') throw refuse(501, 'NotImplemented');
    bucket.hasLock = true;
    bucket.versioning = 'Enabled';
  }
  buckets.set(name, bucket);
  return { status: 200, headers: { location: `/${name}` } };
}

function deleteBucket({ state, bucket }: BucketCall): Reply {
  if (bucket.versions.size > 0) throw refuse(409, 'BucketNotEmpty');
  state.buckets.delete(bucket.name);
  return { status: 204 };
}

function putVersioning({ state: { dialect }, request, bucket }: BucketCall): Reply {
  if (dialect.versioning === 'none') throw refuse(501, 'NotImplemented');
  const status = textOf(checkedBody(request, dialect).toString(), 'Status');
  if (status !== 'Enabled' && status !== 'Suspended') throw refuse(400, 'MalformedXML');
  const mustStay = bucket.hasLock || dialect.versioning === 'always';
  if (status === 'Suspended' && mustStay) throw refuse(409, 'InvalidBucketState');
  bucket.versioning = status;
  return { status: 200 };
}

function getLock({ state: { dialect }, bucket }: BucketCall): Reply {
  if (dialect.objectLock === 'none') throw refuse(501, 'NotImplemented');
  if (!bucket.hasLock) throw refuse(404, 'ObjectLockConfigurationNotFoundError');
  const { defaultRetention: rule } = bucket;
  return xmlReply([
    'ObjectLockConfiguration',
    [['ObjectLockEnabled', 'Enabled'], ...(rule ? ruleElements(rule) : [])],
  ]);
}

function ruleElements({ mode, unit, count }: DefaultRetention): readonly XmlElement[] {
  const retention: readonly XmlElement[] = [
    ['Mode', mode],
    [unit, count],
  ];
  return [['Rule', [['DefaultRetention', retention]]]];
}

function putLock({ state: { dialect }, request, bucket }: BucketCall): Reply {
  if (dialect.objectLock === 'none') throw refuse(501, 'NotImplemented');
  if (!bucket.hasLock) throw refuse(409, 'InvalidBucketState');
  const xml = checkedBody(request, dialect).toString();
  const mode = textOf(xml, 'Mode');
  if (mode === undefined) {
    bucket.defaultRetention = undefined;
    return { status: 200 };
  }
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw refuse(400, 'MalformedXML');
  const unit = textOf(xml, 'Years') === undefined ? 'Days' : 'Years';
  const count = Number(textOf(xml, unit));
  if (!(count > 0)) throw refuse(400, 'InvalidArgument');
  const ms = count * (unit === 'Years' ? 365 : 1) * dayMs;
  bucket.defaultRetention = { mode, ms, unit, count };
  return { status: 200 };
}

function listRules({ state: { pageSizeMax, dialect } }: BucketCall): {
  readonly pageSizeMax: number;
  readonly inOrder: boolean;
} {
  return { pageSizeMax, inOrder: dialect.listsInOrder };
}
