import { assert } from '../base/assert.ts';
import { chunkSizeBytesMax, chunkSizeBytesMin, windowSizeBytes } from './chunk-limits.ts';
import { chunkScanWasm } from './chunk-scan-wasm.ts';
import { chunkTables, type Polynomial } from './polynomial.ts';
import { loadKernel } from './webassembly.ts';

export { chunkSizeBytesMax, chunkSizeBytesMin, windowSizeBytes } from './chunk-limits.ts';

const tableSizeBytes = 2048;
/** Where the scanned bytes start in the WebAssembly memory: behind both tables, on a page of the machine. */
const dataAddress = 2 * tableSizeBytes;
/** The scan reads, and ignores, one byte behind the last. */
const slackSizeBytes = 1;
const capacityBytesMax = 2 ** 31;

type FirstCandidate = (from: number, to: number) => number;

/**
 * Finds where chunks end, in bytes that callers read straight into `buffer`. It looks at the bytes behind the first
 * 512 KiB of each chunk, at 930 MB/s; that makes 1.6 GB/s of random data.
 *
 * It holds no state about a file: every answer follows from the polynomial, the arguments and the bytes.
 * Synchronous; one instance per thread.
 * @see docs/FORMAT.md#chunker
 */
export class ChunkScanner {
  /** View of the scanner's memory, `capacityBytes` long. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #firstCandidate: FirstCandidate;

  /** @param capacityBytes at most 2 GiB; a scan of whole files wants 2 chunks of the largest size */
  constructor(polynomial: Polynomial, capacityBytes: number) {
    assert(Number.isSafeInteger(capacityBytes) && capacityBytes > 0, 'a capacity is positive');
    assert(capacityBytes <= capacityBytesMax, 'a scanner holds at most 2 GiB');
    const sizeBytes = dataAddress + capacityBytes + slackSizeBytes;
    const { buffer, call } = loadKernel(chunkScanWasm, 'firstCandidate', sizeBytes);
    const { mod, leave } = chunkTables(polynomial);
    new BigUint64Array(buffer, 0, 256).set(mod);
    new BigUint64Array(buffer, tableSizeBytes, 256).set(leave);
    this.buffer = new Uint8Array(buffer, dataAddress, capacityBytes);
    this.#firstCandidate = call;
  }

  /**
   * Smallest position `p` in `[from, to]` where a chunk may end: where the fingerprint of the 64 bytes
   * `buffer[p - 64, p)` has its low 20 bits clear.
   * @param from at least 64
   * @param to at most the length of `buffer`, whose bytes before `to` are filled
   * @returns -1 if there is none
   */
  firstCandidate(from: number, to: number): number {
    assert(
      Number.isInteger(from) && from >= windowSizeBytes,
      'a scan starts behind a whole window',
    );
    assert(Number.isInteger(to) && to <= this.buffer.length, 'a scan stays within its buffer');
    if (from > to) return -1;
    const address = this.#firstCandidate(dataAddress + from, dataAddress + to);
    // A WebAssembly u32 arrives as a signed number.
    return address === 0 ? -1 : (address >>> 0) - dataAddress;
  }

  /**
   * End of the chunk that starts at `start`, given that `buffer[start, end)` is filled.
   *
   * A call scans from the earliest possible cut again, whatever was asked before: give it 8 MiB at once, or use
   * `firstCandidate` to look at new bytes only.
   * @param isLast true if the input ends at `end`
   * @returns -1 if more bytes are needed to decide; never for 8 MiB or, with `isLast`, for at least one byte
   */
  nextCut(start: number, end: number, isLast: boolean): number {
    assert(Number.isInteger(start) && start >= 0 && start <= end, 'a chunk has a start');
    assert(Number.isInteger(end) && end <= this.buffer.length, 'a chunk stays within its buffer');
    const limit = Math.min(end, start + chunkSizeBytesMax);
    const hit = this.firstCandidate(start + chunkSizeBytesMin, limit);
    if (hit >= 0) return hit;
    if (limit === start + chunkSizeBytesMax) return limit;
    return isLast && end > start ? end : -1;
  }
}
