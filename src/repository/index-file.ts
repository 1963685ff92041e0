import { idSizeBytes } from './id.ts';
import { toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { sealOverheadBytes } from '../kernels/seal.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { PackedBlobs, recordSizeBytes, recordWords, treeFlag } from './blob.ts';
import type { BlobIndex } from './blob-index.ts';
import { DecodedIndex } from './index-decoded.ts';
import { UsualBlobDecoder } from './index-usual.ts';
import { endOfObject, JsonKeys, JsonReader } from './json.ts';
import type { PackMark } from './pack-marks.ts';
import { parseTimeBytes } from './time-format.ts';

export {
  encodeIndex,
  encodeIndexPieces,
  indexSizeBytesMax,
  type IndexContents,
  type IndexedPack,
  marksOfFiles,
} from './index-encode.ts';

const fileKeys = new JsonKeys(['packs', 'packs_to_delete']);
const packKeys = new JsonKeys(['id', 'blobs', 'time', 'size']);
const blobKeys = new JsonKeys(['id', 'type', 'offset', 'length', 'uncompressed_length']);
const uint32Max = 0xffff_ffff;

/** By which rules an index file is decoded, and who hears of what is odd in it. */
export interface DecodeIndexOptions {
  /** Format version of the repository; in version 1 a compressed blob is damage. Default 2. */
  readonly version?: 1 | 2;
  /** Hears of packs that another index file lists too: with the same blobs, or with others, which is damage. */
  readonly onPackAgain?: (id: Uint8Array, listing: 'repeated' | 'conflicting') => void;
  /** Memory to use again. */
  readonly scratch?: DecodedIndex;
  /** Hears of packs that the file marks as to be deleted. Without it the marks are checked to be JSON, no more. */
  readonly onMark?: (mark: PackMark) => void;
}

/**
 * Decodes an index file and adds it to `index`: nothing of a damaged file, all of any other.
 *
 * Unknown keys, `supersedes` among them, are ignored. Of packs with the same id the blobs are united. Packs that are
 * marked as to be deleted are not added.
 * @param bytes the JSON document
 * @returns also whether the file marks packs
 * @throws INDEX_DAMAGED
 * @see docs/FORMAT.md#index
 */
export function decodeIndexInto(
  bytes: Uint8Array,
  index: BlobIndex,
  options: DecodeIndexOptions = {},
): { readonly packCount: number; readonly blobCount: number; readonly hasMarks: boolean } {
  const decoded = options.scratch ?? new DecodedIndex();
  decoded.clear();
  const { hasMarks } = decodeIndex(bytes, decoded, options);
  for (let pack = 0; pack < decoded.packCount; pack++) {
    const id = decoded.packId(pack);
    const listing = index.addListedPack(id, decoded.recordsOf(pack));
    if (listing !== 'added') options.onPackAgain?.(id, listing);
  }
  return { packCount: decoded.packCount, blobCount: decoded.blobCount, hasMarks };
}

/**
 * Decodes an index file and appends what it lists to `decoded`.
 * @returns whether it marks packs as to be deleted
 * @throws INDEX_DAMAGED
 */
export function decodeIndex(
  bytes: Uint8Array,
  decoded: DecodedIndex,
  options: Pick<DecodeIndexOptions, 'version' | 'onMark'> = {},
): { readonly hasMarks: boolean } {
  const reader = new JsonReader(bytes);
  const usual = new UsualBlobDecoder(bytes, decoded);
  const start = { packCount: decoded.packCount, blobCount: decoded.blobCount };
  let hasPacks = false;
  let marks: readonly PackMark[] | undefined;
  try {
    reader.beginObject();
    for (let key = reader.nextKey(fileKeys); key !== endOfObject; key = reader.nextKey(fileKeys)) {
      if (key !== 0) {
        if (key === 1) marks = readMarks(reader, options.onMark !== undefined);
        else reader.skipValue();
        continue;
      }
      hasPacks = true;
      // A key that comes twice counts as it comes last.
      decoded.packCount = start.packCount;
      decoded.blobCount = start.blobCount;
      if (reader.tryNull()) continue;
      reader.beginArray();
      while (reader.nextElement()) decodePack(reader, decoded, usual);
    }
    reader.end();
    // A snapshot or a lock of this repository in the place of an index file has the right seal and hash.
    if (!hasPacks) throw damaged('it has no list of packs', {});
    if (options.version === 1) assertNoneCompressed(decoded, start.blobCount);
  } catch (error) {
    if (!isHoldfastError(error, 'JSON_INVALID')) throw error;
    throw damaged('it is not valid JSON', {}, error);
  }
  for (const mark of marks ?? []) options.onMark?.(mark);
  return { hasMarks: marks !== undefined };
}

/** The list of marks; undefined if there is none. @param isWanted else it is passed over, and comes back empty */
function readMarks(reader: JsonReader, isWanted: boolean): readonly PackMark[] | undefined {
  if (reader.tryNull()) return undefined;
  const marks: PackMark[] = [];
  if (!isWanted) {
    reader.skipValue();
    return marks;
  }
  const scratch = new DecodedIndex();
  const usual = new UsualBlobDecoder(reader.bytes, scratch);
  reader.beginArray();
  while (reader.nextElement()) {
    scratch.clear();
    const { time, sizeBytes } = decodePack(reader, scratch, usual);
    const records = scratch.recordsOf(0).slice();
    marks.push({
      id: toHex(scratch.packId(0)),
      blobs: new PackedBlobs(new Uint8Array(records.buffer)),
      time,
      sizeBytes,
    });
  }
  return marks;
}

/** @returns what stands beside the blobs of a marked pack */
function decodePack(
  reader: JsonReader,
  decoded: DecodedIndex,
  usual: UsualBlobDecoder,
): { readonly time: Timestamp | undefined; readonly sizeBytes: number | undefined } {
  const id = new Uint8Array(idSizeBytes);
  const first = decoded.blobCount;
  let hasId = false;
  let time: Timestamp | undefined;
  let sizeBytes: number | undefined;
  reader.beginObject();
  for (let key = reader.nextKey(packKeys); key !== endOfObject; key = reader.nextKey(packKeys)) {
    if (key === 0) {
      hasId = reader.readHexInto(id, 0, idSizeBytes);
    } else if (key === 1) {
      decoded.blobCount = first;
      if (!reader.tryNull()) decodeBlobs(reader, decoded, usual);
    } else if (key === 2 && reader.peek() === 'string') {
      time = parseTimeText(reader.readText());
    } else if (key === 3 && reader.peek() === 'number') {
      sizeBytes = Number(reader.readNumber());
    } else {
      reader.skipValue();
    }
  }
  if (!hasId) throw damaged('a pack has no valid id', { offset: reader.position });
  decoded.endPack(id);
  return { time, sizeBytes };
}

/** Undefined for a time in another form: whatever another program writes there, the pack is listed all the same. */
function parseTimeText(text: string): Timestamp | undefined {
  const bytes = Buffer.from(text);
  return parseTimeBytes(bytes, 0, bytes.byteLength);
}

function decodeBlobs(reader: JsonReader, decoded: DecodedIndex, usual: UsualBlobDecoder): void {
  reader.beginArray();
  while (reader.nextElement()) {
    // Leaves the last element of the array, and every unusual one, to the reader.
    reader.position = usual.decode(reader.position);
    decodeBlob(reader, decoded);
  }
}

function decodeBlob(reader: JsonReader, decoded: DecodedIndex): void {
  decoded.growRecords();
  const word = decoded.blobCount * recordWords;
  const records = decoded.records;
  records.fill(0, word, word + recordWords);
  let hasId = false;
  let type = -1;
  reader.beginObject();
  for (let key = reader.nextKey(blobKeys); key !== endOfObject; key = reader.nextKey(blobKeys)) {
    if (key === 0) {
      hasId = reader.readHexInto(
        decoded.recordBytes,
        decoded.blobCount * recordSizeBytes,
        idSizeBytes,
      );
    } else if (key === 1) {
      type = ['data', 'tree'].indexOf(reader.readText());
    } else if (key > 1) {
      records[word + 6 + key] = readUint32(reader);
    } else {
      reader.skipValue();
    }
  }
  if (!hasId) throw damaged('a blob has no valid id', { offset: reader.position });
  if (type < 0) throw damaged('a blob has no valid type', { offset: reader.position });
  const end = records[word + 8]! + records[word + 9]!;
  if (records[word + 9]! < sealOverheadBytes || end > uint32Max) {
    throw damaged('a blob has an impossible place', { offset: reader.position });
  }
  records[word + 11] = type === 1 ? treeFlag : 0;
  decoded.blobCount++;
}

function readUint32(reader: JsonReader): number {
  const value = reader.readInteger();
  if (typeof value === 'bigint' || value < 0 || value > uint32Max) {
    throw damaged('a number is out of range', { offset: reader.position });
  }
  return value;
}

function assertNoneCompressed(decoded: DecodedIndex, start: number): void {
  for (let blob = start; blob < decoded.blobCount; blob++) {
    if (decoded.records[blob * recordWords + 10] === 0) continue;
    const at = blob * recordSizeBytes;
    throw damaged('it lists a compressed blob in a repository of version 1', {
      blob: toHex(decoded.recordBytes.subarray(at, at + idSizeBytes)),
    });
  }
}

function damaged(
  what: string,
  details: Record<string, number | string>,
  cause?: unknown,
): HoldfastError {
  return new HoldfastError('INDEX_DAMAGED', {
    message: `an index file is damaged: ${what}`,
    details,
    ...(cause === undefined ? {} : { cause }),
  });
}
