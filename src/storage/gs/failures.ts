import { concatBytes } from '../../base/bytes.ts';
import { type ErrorCode, HoldfastError, type HoldfastErrorOptions } from '../../base/errors.ts';
import type { HttpAnswer } from '../http-client.ts';
import { invalidAnswer } from '../http-errors.ts';

/** More than any answer needs that is not the content of a file: a page of 1000 names takes some 0.2 MB. */
const answerSizeBytesMax = 16 << 20;

/** Reasons in errors of the service by what they mean here, where their status means something else. */
const reasons: Readonly<Record<string, ErrorCode>> = {
  rateLimitExceeded: 'BACKEND_UNAVAILABLE',
  userRateLimitExceeded: 'BACKEND_UNAVAILABLE',
  backendError: 'BACKEND_UNAVAILABLE',
  internalError: 'BACKEND_UNAVAILABLE',
  accountDisabled: 'PERMISSION_DENIED',
};

/** What is told besides the code's own sentence; the fields of `GoogleError`. */
const sentences: Readonly<Record<string, string>> = {
  accountDisabled: 'the account of the bucket is disabled',
  rateLimitExceeded: 'the storage asks for fewer requests',
  userRateLimitExceeded: 'the storage asks for fewer requests',
  retentionPolicyNotMet: 'a file is locked against changes for some time',
  objectUnderActiveHold: 'a file is locked against changes by a hold',
  userProjectMissing: 'the bucket charges those who ask, which is not supported',
};

/** What a request was about. */
export interface FailedRequest {
  /** For people: `pack 0123456789`. */
  readonly file: string;
  readonly bucket: string;
  /** What is not there can only be the bucket. */
  readonly isOfBucket?: boolean;
}

/** True for a status of success. */
export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/** The document of an answer. @throws SERVER_ANSWER_INVALID for one that is no JSON, or has no end */
export async function readDocument(answer: HttpAnswer, file: string): Promise<object> {
  const text = await readText(answer);
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document === 'object' && document !== null) return document;
  } catch {}
  throw invalidAnswer('the storage gives an answer that is none of Google Cloud Storage', { file });
}

/** The error for an answer that is no success. No text of the answer gets into it. */
export async function failureOf(
  answer: HttpAnswer,
  { file, bucket, isOfBucket = false }: FailedRequest,
): Promise<HoldfastError> {
  const { reason, saysBucket } = await readRefusal(answer);
  const lacksBucket = answer.status === 404 && (saysBucket || isOfBucket);
  const byStatus = answer.failure();
  const code = lacksBucket ? 'REPOSITORY_NOT_FOUND' : (reasons[reason] ?? codeOf(answer, byStatus));
  const isPlain = code === byStatus.code;
  return new HoldfastError(code, {
    ...(isPlain && { message: byStatus.message, ...(byStatus.hint && { hint: byStatus.hint }) }),
    details: { file, answer: `${answer.status} ${reason}`.trim() },
    retryAfterMs: byStatus.retryAfterMs,
    ...told(code, reason, bucket),
  });
}

function codeOf({ status }: HttpAnswer, byStatus: HoldfastError): ErrorCode {
  if (status === 401) return 'CREDENTIALS_REFUSED';
  return status === 412 ? 'FILE_EXISTS' : byStatus.code;
}

function told(code: ErrorCode, reason: string, bucket: string): HoldfastErrorOptions {
  if (code === 'REPOSITORY_NOT_FOUND') {
    return {
      message: `there is no bucket "${bucket}"`,
      hint: 'Check the location; "holdfast init" makes the bucket of a new repository.',
    };
  }
  if (code === 'CREDENTIALS_REFUSED') {
    return { hint: 'A token in GOOGLE_ACCESS_TOKEN is valid for an hour; others are renewed.' };
  }
  const message = sentences[reason];
  return message === undefined ? {} : { message };
}

/** The reason in an error of the service, if it is one. */
async function readRefusal(
  answer: HttpAnswer,
): Promise<{ readonly reason: string; readonly saysBucket: boolean }> {
  const text = await readText(answer);
  // A missing file and a missing bucket differ in the sentence alone.
  const saysBucket = text.includes('bucket does not exist');
  const reason = /"reason"\s*:\s*"([A-Za-z]{1,64})"/.exec(text)?.[1] ?? '';
  return { reason, saysBucket };
}

async function readText(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.chunks()) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > answerSizeBytesMax) {
      throw invalidAnswer('the storage answers without an end', { sizeBytes });
    }
    chunks.push(chunk);
  }
  return Buffer.from(concatBytes(chunks)).toString('utf8');
}
