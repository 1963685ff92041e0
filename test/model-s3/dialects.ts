import type { RefusalRow } from './refusal.ts';

/** Vendors' servers that the model can stand for. */
export type DialectName = 'aws' | 'r2' | 'b2' | 'minio' | 'radosgw16' | 'radosgw20';

/**
 * How one vendor's server differs. Those of radosgw are held against the real one; the others follow the vendors'
 * descriptions and what their users report, and were not seen by these tests.
 */
export interface Dialect {
  readonly vendor: string;
  /** Regions that a signature may name beside the server's own. */
  readonly regions: 'any' | readonly string[];
  /** The server's own, unless told otherwise. */
  readonly region: string;
  readonly wrongRegion: RefusalRow & { readonly namesIt: boolean };
  readonly looksAtRegionFirst: boolean;
  readonly unknownKey: RefusalRow;
  readonly wrongSignature: RefusalRow;
  readonly skewed: RefusalRow;
  readonly expiredToken: RefusalRow;
  readonly invalidToken: RefusalRow;
  /** A body that does not fit `x-amz-content-sha256`. */
  readonly wrongPayloadHash: RefusalRow;
  /** What `If-None-Match: *` to a put does; `refused` is for headers that the server does not know. */
  readonly conditionalPut: 'holds' | 'ignored-with-versions' | 'refused';
  /**
   * What checksum headers (`x-amz-checksum-crc32`) do: nothing; checked; checked if `x-amz-sdk-checksum-algorithm` comes
   * with them; or refused.
   */
  readonly checksums: 'ignored' | 'checked' | 'checked-if-named' | RefusalRow;
  /** Bodies in frames with a checksum behind them, as newer SDKs send them. */
  readonly trailers: 'taken' | RefusalRow;
  /** `always`: each bucket has versions from its start, and keeps them. */
  readonly versioning: 'settable' | 'always' | 'none';
  readonly objectLock: 'settable' | 'none';
  /** A put that is to be locked needs Content-MD5 or a checksum. */
  readonly lockNeedsChecksum: boolean;
  /** Lock headers or bypass without a bucket that locks. */
  readonly lockWithoutBucketLock: RefusalRow;
  /** Delete or shorten what is locked. */
  readonly locked: RefusalRow;
  readonly noRetention: RefusalRow;
  /** A list of what to delete needs Content-MD5 or a checksum. */
  readonly deletesNeedChecksum: RefusalRow | undefined;
  /** Classes that it knows; `any`: takes each for what it says. */
  readonly storageClasses: 'any' | readonly string[];
  readonly wrongStorageClass: RefusalRow;
  /** Objects of cold classes have to be brought back before they are read. */
  readonly hasArchives: boolean;
  /** A version that is not there, of an object that is. */
  readonly noVersion: RefusalRow;
  /** A version that is a delete marker. */
  readonly markerRead: RefusalRow;
  /** A range whose end comes before its start is refused, not passed over. */
  readonly refusesBackwardRanges: boolean;
  /** Versions that are no id at all. */
  readonly invalidVersion: RefusalRow;
  /** Making a bucket of one's own again. */
  readonly bucketAgain: RefusalRow | undefined;
  /** Listings have keys in the order of their bytes. */
  readonly listsInOrder: boolean;
}

const aws: Dialect = {
  vendor: 'Amazon S3',
  regions: [],
  region: 'us-east-1',
  wrongRegion: { status: 400, code: 'AuthorizationHeaderMalformed', namesIt: true },
  looksAtRegionFirst: true,
  unknownKey: { status: 403, code: 'InvalidAccessKeyId' },
  wrongSignature: { status: 403, code: 'SignatureDoesNotMatch' },
  skewed: { status: 403, code: 'RequestTimeTooSkewed' },
  expiredToken: { status: 400, code: 'ExpiredToken' },
  invalidToken: { status: 400, code: 'InvalidToken' },
  wrongPayloadHash: { status: 400, code: 'XAmzContentSHA256Mismatch' },
  conditionalPut: 'holds',
  checksums: 'checked',
  trailers: 'taken',
  versioning: 'settable',
  objectLock: 'settable',
  lockNeedsChecksum: true,
  lockWithoutBucketLock: { status: 400, code: 'InvalidRequest' },
  locked: { status: 403, code: 'AccessDenied' },
  noRetention: { status: 404, code: 'NoSuchObjectLockConfiguration' },
  deletesNeedChecksum: { status: 400, code: 'InvalidRequest' },
  storageClasses: [
    'STANDARD',
    'REDUCED_REDUNDANCY',
    'STANDARD_IA',
    'ONEZONE_IA',
    'INTELLIGENT_TIERING',
    'GLACIER',
    'DEEP_ARCHIVE',
    'GLACIER_IR',
  ],
  wrongStorageClass: { status: 400, code: 'InvalidStorageClass' },
  hasArchives: true,
  noVersion: { status: 404, code: 'NoSuchVersion' },
  markerRead: { status: 405, code: 'MethodNotAllowed' },
  refusesBackwardRanges: false,
  invalidVersion: { status: 400, code: 'InvalidArgument' },
  bucketAgain: undefined,
  listsInOrder: true,
};

const radosgw16: Dialect = {
  ...aws,
  vendor: 'Ceph radosgw 16.2',
  regions: 'any',
  looksAtRegionFirst: false,
  conditionalPut: 'ignored-with-versions',
  checksums: 'ignored',
  trailers: { status: 411, code: 'MissingContentLength' },
  lockNeedsChecksum: false,
  noRetention: { status: 404, code: 'ObjectLockConfigurationNotFoundError' },
  noVersion: { status: 404, code: 'NoSuchKey' },
  markerRead: { status: 404, code: 'NoSuchKey' },
  refusesBackwardRanges: true,
  deletesNeedChecksum: undefined,
  storageClasses: 'any',
  hasArchives: false,
};

/** What the model does for each vendor. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  aws,
  r2: {
    ...aws,
    vendor: 'Cloudflare R2',
    regions: ['auto', '', 'us-east-1'],
    region: 'auto',
    wrongRegion: { status: 400, code: 'InvalidRegionName', namesIt: false },
    unknownKey: { status: 401, code: 'Unauthorized' },
    checksums: { status: 501, code: 'NotImplemented' },
    trailers: { status: 501, code: 'NotImplemented' },
    versioning: 'none',
    objectLock: 'none',
    lockWithoutBucketLock: { status: 501, code: 'NotImplemented' },
    storageClasses: ['STANDARD', 'STANDARD_IA'],
    wrongStorageClass: { status: 501, code: 'NotImplemented' },
    hasArchives: false,
    deletesNeedChecksum: undefined,
  },
  b2: {
    ...aws,
    vendor: 'Backblaze B2',
    region: 'us-west-004',
    wrongRegion: { status: 403, code: 'SignatureDoesNotMatch', namesIt: false },
    conditionalPut: 'refused',
    checksums: { status: 400, code: 'InvalidArgument' },
    trailers: { status: 501, code: 'NotImplemented' },
    versioning: 'always',
    lockNeedsChecksum: false,
    storageClasses: ['STANDARD'],
    hasArchives: false,
    deletesNeedChecksum: undefined,
  },
  minio: {
    ...aws,
    vendor: 'MinIO',
    unknownKey: { status: 403, code: 'InvalidAccessKeyId' },
    invalidToken: { status: 403, code: 'InvalidTokenId' },
    expiredToken: { status: 403, code: 'InvalidTokenId' },
    storageClasses: ['STANDARD', 'REDUCED_REDUNDANCY'],
    hasArchives: false,
    deletesNeedChecksum: { status: 400, code: 'MissingContentMD5' },
    bucketAgain: { status: 409, code: 'BucketAlreadyOwnedByYou' },
  },
  radosgw16,
  radosgw20: {
    ...radosgw16,
    vendor: 'Ceph radosgw 20.2',
    conditionalPut: 'holds',
    checksums: 'checked-if-named',
    trailers: 'taken',
  },
};

/** All of them. */
export const dialectNames = Object.keys(dialects) as readonly DialectName[];
