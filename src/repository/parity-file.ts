import { assert } from '../base/assert.ts';
import { equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { type CodeShape, encodeParity, isCodeShape, recoverData } from '../kernels/reed-solomon.ts';
import { sha256 } from '../kernels/sha256.ts';
import { type Id, idBytes } from './id.ts';

/**
 * The parity of one pack: Reed-Solomon blocks that make up for lost blocks of the pack, and digests that tell which are
 * lost. Head and digests stand in the file twice, so that no single damage takes them.
 *
 * Nothing of it is secret (the pack is sealed), and nothing is believed: a pack counts as healed when its SHA-256 is its
 * name.
 * @see docs/FORMAT.md#parity
 */
export interface ParityFile {
  readonly packId: Id;
  readonly packSizeBytes: number;
  readonly shape: CodeShape;
  /** Of all data blocks, then of all parity blocks, 8 bytes each; two copies, each as it was read. */
  readonly digests: readonly [Uint8Array, Uint8Array];
  readonly parity: Uint8Array<ArrayBuffer>;
  /** Both copies of head and digests are whole. Otherwise the file serves as well, and the next damage may take it. */
  readonly copiesAgree: boolean;
}

/** Most percent of a pack that parity can make up for. */
export const parityPercentMax = 100;

const magic: Uint8Array = utf8('holdfast parity1');
const headSizeBytes = 96;
/** What its own digest covers. */
const headFieldsSizeBytes = 64;
const digestSizeBytes = 8;
const blockSizeBytesMin = 64;
const blockSizeBytesUsual = 4096;
/** Small packs get smaller blocks, so that a part of them is a part and not the whole. */
const blockCountWanted = 256;
/** A file may lack much of its end; but anybody can write a head, and memory is taken for what it announces. */
const announcedFactorMax = 16;
const announcedSizeBytesFree: number = 32 << 20;

/** The code for a pack of a size: enough blocks that any `percent` of its bytes can be lost. */
export function parityShape(packSizeBytes: number, percent: number): CodeShape {
  assert(percent > 0 && percent <= parityPercentMax, 'parity is a share of the pack');
  assert(packSizeBytes > 0, 'a pack has bytes');
  let blockSizeBytes = blockSizeBytesMin;
  while (
    blockSizeBytes < blockSizeBytesUsual &&
    packSizeBytes / blockSizeBytes > blockCountWanted
  ) {
    blockSizeBytes *= 2;
  }
  for (; ; blockSizeBytes *= 2) {
    const dataCount = Math.ceil(packSizeBytes / blockSizeBytes);
    const parityCount = Math.max(1, Math.ceil((dataCount * percent) / 100));
    const shape = { dataCount, parityCount, blockSizeBytes };
    if (isCodeShape(shape)) return shape;
  }
}

/** Size of the parity file of a pack. */
export function parityFileSizeBytes(packSizeBytes: number, percent: number): number {
  const { dataCount, parityCount, blockSizeBytes } = parityShape(packSizeBytes, percent);
  const digestsSizeBytes = (dataCount + parityCount) * digestSizeBytes;
  return 2 * (headSizeBytes + digestsSizeBytes) + parityCount * blockSizeBytes;
}

/** The parity file of a pack. The same pack and percentage give the same bytes. */
export function encodeParityFile(
  packId: Id,
  pack: Uint8Array,
  percent: number,
): Uint8Array<ArrayBuffer> {
  const shape = parityShape(pack.byteLength, percent);
  const data = paddedData(pack, shape);
  const parity = encodeParity(data, shape);
  const head = encodeHead(packId, pack.byteLength, shape);
  const digests = digestsOf(data, parity, shape);
  const file = new Uint8Array(2 * (head.byteLength + digests.byteLength) + parity.byteLength);
  let at = 0;
  for (const part of [head, digests, parity, digests, head]) {
    file.set(part, at);
    at += part.byteLength;
  }
  return file;
}

function encodeHead(packId: Id, packSizeBytes: number, shape: CodeShape): Uint8Array {
  const head = new Uint8Array(headSizeBytes);
  const view = new DataView(head.buffer);
  head.set(magic);
  head.set(idBytes(packId), 16);
  view.setUint32(48, packSizeBytes, true);
  view.setUint32(52, shape.blockSizeBytes, true);
  view.setUint32(56, shape.dataCount, true);
  view.setUint32(60, shape.parityCount, true);
  head.set(sha256(head.subarray(0, headFieldsSizeBytes)), headFieldsSizeBytes);
  return head;
}

/**
 * Reads a parity file, however damaged: one of its heads must be whole.
 * @throws PARITY_DAMAGED
 */
export function decodeParityFile(packId: Id, file: Uint8Array): ParityFile {
  const own = idBytes(packId);
  const starts = [0, file.byteLength - headSizeBytes].filter((start) => start >= 0);
  const heads = starts.map((start) => decodeHead(file.subarray(start), own));
  const head = heads.find(Boolean);
  if (!head) throw damaged(packId);
  const { packSizeBytes, shape } = head;
  const { dataCount, parityCount, blockSizeBytes } = shape;
  const digestsSizeBytes = (dataCount + parityCount) * digestSizeBytes;
  const paritySizeBytes = parityCount * blockSizeBytes;
  const wholeSizeBytes = 2 * (headSizeBytes + digestsSizeBytes) + paritySizeBytes;
  if (wholeSizeBytes > Math.max(announcedSizeBytesFree, announcedFactorMax * file.byteLength)) {
    throw damaged(packId);
  }
  // What a truncated file lacks reads as zeros, which fit no digest.
  const whole = new Uint8Array(wholeSizeBytes);
  whole.set(file.subarray(0, whole.byteLength));
  const parityStart = headSizeBytes + digestsSizeBytes;
  const parityEnd = parityStart + paritySizeBytes;
  const digests = [
    whole.subarray(headSizeBytes, parityStart),
    whole.subarray(parityEnd, parityEnd + digestsSizeBytes),
  ] as const;
  const isUsual = file.byteLength === whole.byteLength && heads.every(Boolean);
  return {
    packId,
    packSizeBytes,
    shape,
    digests,
    parity: whole.slice(parityStart, parityEnd),
    copiesAgree: isUsual && equalBytes(...digests),
  };
}

function decodeHead(
  head: Uint8Array,
  packId: Uint8Array,
): Pick<ParityFile, 'packSizeBytes' | 'shape'> | undefined {
  if (head.byteLength < headSizeBytes) return undefined;
  const fields = head.subarray(0, headFieldsSizeBytes);
  const isWhole =
    equalBytes(fields.subarray(0, 16), magic) &&
    equalBytes(fields.subarray(16, 48), packId) &&
    equalBytes(sha256(fields), head.subarray(headFieldsSizeBytes, headSizeBytes));
  if (!isWhole) return undefined;
  const view = new DataView(fields.buffer, fields.byteOffset, fields.byteLength);
  const packSizeBytes = view.getUint32(48, true);
  const shape = {
    blockSizeBytes: view.getUint32(52, true),
    dataCount: view.getUint32(56, true),
    parityCount: view.getUint32(60, true),
  };
  // Anybody can write a head: no memory is taken for what the pack would not have.
  const isFit =
    shape.blockSizeBytes >= blockSizeBytesMin &&
    packSizeBytes > 0 &&
    shape.dataCount === Math.ceil(packSizeBytes / shape.blockSizeBytes) &&
    shape.parityCount <= shape.dataCount &&
    isCodeShape(shape);
  return isFit ? { packSizeBytes, shape } : undefined;
}

/** What a look at a pack and its parity gives. */
export interface ParityFindings {
  /** The pack as it should be; absent if more is lost than the parity makes up for. */
  readonly healed: Uint8Array | undefined;
  readonly lostBlockCount: number;
  /** Blocks that may be lost, of pack and parity together. */
  readonly parityBlockCount: number;
}

/** Heals a pack in memory. @param pack its bytes as they are, of any length */
export function healPack(file: ParityFile, pack: Uint8Array): ParityFindings {
  const { shape } = file;
  const missing = shape.dataCount - Math.ceil(pack.byteLength / shape.blockSizeBytes);
  if (missing > shape.parityCount) {
    const counts = { lostBlockCount: missing, parityBlockCount: shape.parityCount };
    return { healed: undefined, ...counts };
  }
  const data = paddedData(pack.subarray(0, file.packSizeBytes), shape);
  const found = digestsOf(data, file.parity, shape);
  const lost = { data: [] as number[], parity: [] as number[] };
  for (let block = 0; block < shape.dataCount + shape.parityCount; block++) {
    if (isBlockWhole(file, found, block)) continue;
    if (block < shape.dataCount) lost.data.push(block);
    else lost.parity.push(block - shape.dataCount);
  }
  const counts = {
    lostBlockCount: lost.data.length + lost.parity.length,
    parityBlockCount: shape.parityCount,
  };
  const isRecovered = recoverData({ data, parity: file.parity }, shape, lost);
  const healed = data.subarray(0, file.packSizeBytes);
  const isProven = isRecovered && toHex(sha256(healed)) === file.packId;
  return { healed: isProven ? healed : undefined, ...counts };
}

/** How many parity blocks a file has lost itself. */
export function damagedParityCount(file: ParityFile): number {
  const { dataCount, parityCount, blockSizeBytes } = file.shape;
  let count = 0;
  for (let block = 0; block < parityCount; block++) {
    const bytes = file.parity.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
    const digest = sha256(bytes).subarray(0, digestSizeBytes);
    const at = (dataCount + block) * digestSizeBytes;
    const fits = file.digests.some((copy) =>
      equalBytes(copy.subarray(at, at + digestSizeBytes), digest),
    );
    if (!fits) count++;
  }
  return count;
}

function isBlockWhole({ digests }: ParityFile, found: Uint8Array, block: number): boolean {
  const [start, end] = [block * digestSizeBytes, (block + 1) * digestSizeBytes];
  const digest = found.subarray(start, end);
  return digests.some((copy) => equalBytes(copy.subarray(start, end), digest));
}

/** The pack in whole blocks, with zeros at its end. */
function paddedData(pack: Uint8Array, shape: CodeShape): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(shape.dataCount * shape.blockSizeBytes);
  data.set(pack);
  return data;
}

function digestsOf(data: Uint8Array, parity: Uint8Array, shape: CodeShape): Uint8Array {
  const { dataCount, parityCount, blockSizeBytes } = shape;
  const digests = new Uint8Array((dataCount + parityCount) * digestSizeBytes);
  for (let block = 0; block < dataCount + parityCount; block++) {
    const isData = block < dataCount;
    const start = (isData ? block : block - dataCount) * blockSizeBytes;
    const bytes = (isData ? data : parity).subarray(start, start + blockSizeBytes);
    digests.set(sha256(bytes).subarray(0, digestSizeBytes), block * digestSizeBytes);
  }
  return digests;
}

function damaged(packId: Id): HoldfastError {
  return new HoldfastError('PARITY_DAMAGED', { details: { packId } });
}
