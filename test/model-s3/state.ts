import type { ModelBucket } from './bucket.ts';
import type { Dialect } from './dialects.ts';
import type { S3Request } from './request.ts';

/** What an operation works on. */
export interface ModelState {
  readonly dialect: Dialect;
  readonly buckets: Map<string, ModelBucket>;
  /** Of the virtual clock: what archives and locks go by. */
  readonly nowMs: number;
  readonly region: string;
  readonly pageSizeMax: number;
  /** Whether who asks may do more than the operation itself. */
  readonly may: (operation: string) => boolean;
}

/** A request of a bucket that is there. */
export interface BucketCall {
  readonly state: ModelState;
  readonly request: S3Request;
  readonly bucket: ModelBucket;
}
