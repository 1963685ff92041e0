import { concatBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { ByteRange } from './backend.ts';
import type { HttpAnswer } from './http-client.ts';
import { invalidAnswer } from './http-errors.ts';

/** The most that is taken at once because a server announces it; what is larger is taken as it comes. */
const trustedSizeBytesMax = 64 << 20;

/** What a body of a file must be. */
export interface ExpectedBody {
  readonly file: string;
  /** More is refused: before memory is taken for it where the server announces it. */
  readonly sizeBytesMax: number;
  readonly tooLarge: () => HoldfastError;
}

/**
 * All of a body.
 *
 * @returns at offset 0 of a buffer of its own
 * @throws BACKEND_READ_FAILED if it is not as long as announced, or a page of the web; what `tooLarge` makes
 */
export async function readBody(
  answer: HttpAnswer,
  expected: ExpectedBody,
): Promise<Uint8Array<ArrayBuffer>> {
  refuseForeign(answer, expected.file);
  const announced = answer.sizeBytes;
  if ((announced ?? 0) > expected.sizeBytesMax) throw expected.tooLarge();
  const collector = new Collector(announced);
  for await (const chunk of answer.chunks()) {
    if (collector.sizeBytes + chunk.byteLength > expected.sizeBytesMax) throw expected.tooLarge();
    collector.add(chunk);
  }
  if (announced !== undefined && collector.sizeBytes !== announced) {
    throw cutBody(expected.file, { expected: announced, got: collector.sizeBytes });
  }
  return collector.take();
}

/**
 * The bytes of `range` from an answer to a request for it: of a part (206), or of the whole file by a server that knows no
 * ranges (200), which is then read up to the end of the range only.
 *
 * @returns undefined if the answer leaves open whether the file is long enough
 * @throws RANGE_NOT_SATISFIABLE if the answer says that the file ends before; BACKEND_READ_FAILED
 */
export async function readRange(
  answer: HttpAnswer,
  range: ByteRange,
  file: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  refuseForeign(answer, file);
  const isWhole = answer.status === 200;
  const sent = isWhole ? { start: 0, total: answer.sizeBytes } : contentRange(answer);
  if (sent.total !== undefined && sent.total < range.end) throw beyondEnd(file, range);
  if (sent.start !== undefined && sent.start !== (isWhole ? 0 : range.start)) {
    throw invalidAnswer('the storage answers with another part of a file', { file });
  }
  const length = range.end - range.start;
  const collector = new Collector(length);
  let skipped = isWhole ? range.start : 0;
  for await (const chunk of answer.chunks()) {
    const passed = Math.min(skipped, chunk.byteLength);
    skipped -= passed;
    collector.add(chunk.subarray(passed, passed + length - collector.sizeBytes));
    if (collector.sizeBytes === length) return collector.take();
  }
  if (isWhole && answer.sizeBytes === undefined) throw beyondEnd(file, range);
  return undefined;
}

/** `bytes 2-5/10` (RFC 9110, 14.4); nothing of one that contradicts itself, which some servers send past the end. */
function contentRange(answer: HttpAnswer): { start?: number; total?: number | undefined } {
  const match = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/.exec(
    answer.header('content-range') ?? '',
  );
  if (!match) return {};
  const [start, end] = [Number(match[1]), Number(match[2])];
  const total = match[3] === '*' ? undefined : Number(match[3]);
  return end < start ? { total } : { start, total };
}

function beyondEnd(file: string, { start, end }: ByteRange): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', { details: { file, start, end } });
}

/** Refuses what is no content of a file, whatever its status says. */
function refuseForeign(answer: HttpAnswer, file: string): void {
  if (/^(?:text\/html|application\/xhtml)/i.test(answer.header('content-type') ?? '')) {
    throw webPage(file);
  }
  const encoding = answer.header('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw invalidAnswer('the storage or a proxy changes files while it sends them', {
      file,
      encoding,
    });
  }
}

/** A page of a captive portal or of a proxy, which may be gone soon, or of a server that is no storage. */
export function webPage(file: string): HoldfastError {
  return new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the server sends a page of the web instead of a repository file',
    details: { file },
    hint: 'Look whether the location names a storage, and whether this network wants you to log in first.',
  });
}

/** A body that ended before its end. */
export function cutBody(
  file: string,
  sizes: { readonly expected: number; readonly got: number },
): HoldfastError {
  return new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the storage sends less than it announces',
    details: { file, ...sizes },
  });
}

/** Puts chunks together, in place where the size is known and not large. */
class Collector {
  sizeBytes = 0;
  readonly #expected: number | undefined;
  readonly #chunks: Uint8Array[] = [];
  readonly #target: Uint8Array<ArrayBuffer> | undefined;

  constructor(expected: number | undefined) {
    this.#expected = expected;
    if (expected !== undefined && expected <= trustedSizeBytesMax) {
      this.#target = new Uint8Array(expected);
    }
  }

  add(chunk: Uint8Array): void {
    if (!this.#target) this.#chunks.push(chunk);
    else if (this.sizeBytes + chunk.byteLength <= (this.#expected ?? 0)) {
      this.#target.set(chunk, this.sizeBytes);
    }
    this.sizeBytes += chunk.byteLength;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#target ?? concatBytes(this.#chunks);
  }
}
