import { HoldfastError } from '../base/errors.ts';

/** The largest window a decoder must offer; restic's writers stay far below. */
export const zstdWindowSizeBytesMax: number = 2 ** 27;

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const blockSizeBytesMax = 128 * 1024;
/** A compressed block has at least a byte for the header of its literals and one for that of its sequences. */
const compressedBlockSizeBytesMin = 2;

interface FrameHeader {
  /** Where the first block starts. */
  readonly blocksAt: number;
  readonly contentSizeBytes: number | undefined;
  readonly windowSizeBytes: number;
  readonly hasChecksum: boolean;
}

/** How much comes out of frames, as far as their headers tell. */
export interface ContentBound {
  readonly sizeBytesMax: number;
  /** True if every frame declares its content size: then exactly `sizeBytesMax` bytes must come out. */
  readonly isExact: boolean;
}

/** One frame among others. */
export interface FrameEnd extends ContentBound {
  /** Offset behind its last byte. */
  readonly end: number;
}

/**
 * Walks the frames in `source` by their headers, without decompressing, so that bad input is refused
 * before memory is spent on it: frames must follow one another to the very end, need no dictionary and
 * no window above `zstdWindowSizeBytesMax`.
 *
 * @returns the most bytes that decompression can give, by declared sizes or else by the blocks
 * @throws COMPRESSION_BROKEN, also where a frame declares more content than its blocks can hold
 * @see RFC 8878, section 3.1
 */
export function zstdContentBound(source: Uint8Array): ContentBound {
  let sizeBytesMax = 0;
  let isExact = true;
  visitZstdFrames(source, (frame) => {
    sizeBytesMax += frame.sizeBytesMax;
    isExact &&= frame.isExact;
  });
  return { sizeBytesMax, isExact };
}

/** Tells of each frame in `source`, in order. There may be very many. @throws as `zstdContentBound` */
export function visitZstdFrames(source: Uint8Array, visit: (frame: FrameEnd) => void): void {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  let position = 0;
  if (source.length === 0) throw broken('there is no frame');
  try {
    while (position < source.length) {
      const frame = walkFrame(view, position);
      visit(frame);
      position = frame.end;
    }
  } catch (error) {
    if (error instanceof RangeError) throw broken('a frame is cut short');
    throw error;
  }
  if (position > source.length) throw broken('a frame is cut short');
}

function walkFrame(view: DataView, start: number): FrameEnd {
  const magic = view.getUint32(start, true);
  if ((magic & 0xfffffff0) === skippableMagic) {
    const end = start + 8 + view.getUint32(start + 4, true);
    return { end, sizeBytesMax: 0, isExact: true };
  }
  if (magic !== frameMagic) throw broken('this is not a frame');
  const header = readHeader(view, start + 4);
  let position = header.blocksAt;
  // A frame of a single segment has no window: its blocks are held against the declared size.
  const plainBlockMax = Math.min(blockSizeBytesMax, header.windowSizeBytes || blockSizeBytesMax);
  let sizeBytesMax = 0;
  for (let isLast = false; !isLast; ) {
    const block = view.getUint16(position, true) | (view.getUint8(position + 2) << 16);
    isLast = (block & 1) === 1;
    const kind = (block >>> 1) & 3;
    const size = block >>> 3;
    if (kind === 3) throw broken('a block has a reserved type');
    // Some decoders take these, others, restic's among them, do not.
    if (kind < 2 && size > plainBlockMax) throw broken('a block is larger than blocks may be');
    if (kind === 2 && size < compressedBlockSizeBytesMin)
      throw broken('a compressed block is empty');
    sizeBytesMax += kind === 2 ? blockSizeBytesMax : size;
    position += 3 + (kind === 1 ? 1 : size);
  }
  const end = position + (header.hasChecksum ? 4 : 0);
  const declared = header.contentSizeBytes;
  if (declared === undefined) return { end, sizeBytesMax, isExact: false };
  if (declared > sizeBytesMax) throw broken('a frame declares more than it holds');
  return { end, sizeBytesMax: declared, isExact: true };
}

function readHeader(view: DataView, start: number): FrameHeader {
  const descriptor = view.getUint8(start);
  if ((descriptor & 8) !== 0) throw broken('a frame uses a reserved bit');
  const isSingleSegment = (descriptor & 32) !== 0;
  let position = start + 1;
  let windowSizeBytes = 0;
  if (!isSingleSegment) {
    const window = view.getUint8(position++);
    const base = 2 ** (10 + (window >>> 3));
    windowSizeBytes = base + (base / 8) * (window & 7);
  }
  if (windowSizeBytes > zstdWindowSizeBytesMax) throw broken('a frame needs too large a window');
  const dictionarySize = [0, 1, 2, 4][descriptor & 3] ?? 0;
  for (let i = 0; i < dictionarySize; i++) {
    if (view.getUint8(position++) !== 0) throw broken('a frame needs a dictionary');
  }
  const sizeFlag = descriptor >>> 6;
  const contentSizeBytes = readContentSize(
    view,
    position,
    isSingleSegment ? sizeFlag : sizeFlag || -1,
  );
  position += sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag;
  const hasChecksum = (descriptor & 4) !== 0;
  return { blocksAt: position, contentSizeBytes, windowSizeBytes, hasChecksum };
}

/** The declared content size; `flag` -1 means that there is none. */
function readContentSize(view: DataView, position: number, flag: number): number | undefined {
  if (flag === 0) return view.getUint8(position);
  if (flag === 1) return view.getUint16(position, true) + 256;
  if (flag === 2) return view.getUint32(position, true);
  if (flag === 3) return Number(view.getBigUint64(position, true));
  return undefined;
}

function broken(message: string): HoldfastError {
  return new HoldfastError('COMPRESSION_BROKEN', {
    message: `stored data does not decompress: ${message}`,
  });
}
