import { once } from 'node:events';
import { crc32, createDeflateRaw } from 'node:zlib';
import { assert } from '../../base/assert.ts';
import { concatBytes, utf8 } from '../../base/bytes.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { type TreeNode, unixMode } from '../../repository/tree.ts';
import type { ArchiveEntry, ArchiveWriter, ByteWriter } from './archive.ts';

const uint32Max = 0xffff_ffff;
const uint16Max = 0xffff;
/** Compressed data can be larger than the content; far above that margin the large form is used. */
const largeSizeBytesMin: number = uint32Max - (64 << 20);
/** Sizes follow the data; names are UTF-8. */
const flags = 0x0808;
const versionPlain = 20;
const versionZip64 = 45;
/** Made by Unix, so that the high half of the attributes is `st_mode`. */
const madeByUnix = 3 << 8;
const stored = 0;
const deflated = 8;

const fileTypeBits: Readonly<Record<string, number>> = {
  file: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
};

interface WrittenEntry {
  readonly name: Uint8Array;
  readonly node: TreeNode;
  readonly method: number;
  readonly checksum: number;
  readonly compressedSizeBytes: number;
  readonly sizeBytes: number;
  readonly offset: number;
}

/**
 * Writes a zip archive without ever going back: sizes and checksums follow the data, with 64-bit fields where needed.
 * @see PKWARE APPNOTE.TXT 6.3.10
 */
export class ZipWriter implements ArchiveWriter {
  readonly #output: ByteWriter;
  readonly #entries: WrittenEntry[] = [];
  #offset = 0;

  constructor(output: ByteWriter) {
    this.#output = output;
  }

  refusal({ type }: TreeNode): string | undefined {
    return type in fileTypeBits ? undefined : `a zip archive cannot hold a ${type}`;
  }

  async add(entry: ArchiveEntry): Promise<void> {
    const { node, sizeBytes } = entry;
    const isLarge = sizeBytes >= largeSizeBytesMin;
    const head = { name: nameOf(entry), node, method: methodOf(entry), offset: this.#offset };
    await this.#write(localHeader(head, isLarge));
    const start = this.#offset;
    const written = await this.#writeContent(entry, head.method);
    const compressedSizeBytes = this.#offset - start;
    const done = { ...head, ...written, compressedSizeBytes };
    this.#entries.push(done);
    await this.#write(dataDescriptor(done, isLarge));
  }

  async finish(): Promise<void> {
    const start = this.#offset;
    for (const entry of this.#entries) await this.#write(centralHeader(entry));
    await this.#write(endOfArchive(this.#entries.length, start, this.#offset - start));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#offset += bytes.byteLength;
    await this.#output(bytes);
  }

  async #writeContent(
    entry: ArchiveEntry,
    method: number,
  ): Promise<{ checksum: number; sizeBytes: number }> {
    const { node } = entry;
    if (node.type !== 'file') {
      const bytes = node.linkTarget ?? new Uint8Array(0);
      await this.#write(bytes);
      return { checksum: crc32(bytes), sizeBytes: bytes.byteLength };
    }
    let checksum = 0;
    let sizeBytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array, void, void> {
      for await (const bytes of entry.content()) {
        checksum = crc32(bytes, checksum);
        sizeBytes += bytes.byteLength;
        yield bytes;
      }
    }
    const parts = method === deflated ? deflate(counted()) : counted();
    for await (const bytes of parts) await this.#write(bytes);
    assert(sizeBytes === entry.sizeBytes, 'the content of a file has the size that the index says');
    return { checksum, sizeBytes };
  }
}

/** Compresses a stream; a failure of the source comes out here. */
async function* deflate(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const stream = createDeflateRaw();
  const fed = feed(source, stream);
  // Its failure destroys the stream, and comes out of the loop.
  fed.catch((error: unknown) => stream.destroy(error instanceof Error ? error : undefined));
  for await (const bytes of stream as AsyncIterable<Uint8Array>) yield bytes;
  await fed;
}

async function feed(
  source: AsyncIterable<Uint8Array>,
  stream: ReturnType<typeof createDeflateRaw>,
): Promise<void> {
  for await (const bytes of source) {
    if (!stream.write(bytes)) await once(stream, 'drain');
  }
  stream.end();
}

/** Backslashes would be taken for folders on Windows. */
function nameOf({ path, node }: ArchiveEntry): Uint8Array {
  const name = Uint8Array.from(path, (byte) => (byte === 0x5c ? 0x5f : byte));
  return node.type === 'dir' ? concatBytes([name, utf8('/')]) : name;
}

function methodOf({ node, sizeBytes }: ArchiveEntry): number {
  return node.type === 'file' && sizeBytes > 0 ? deflated : stored;
}

type EntryHead = Pick<WrittenEntry, 'name' | 'node' | 'method' | 'offset'>;

function localHeader({ name, node, method }: EntryHead, isLarge: boolean): Uint8Array {
  const zip64 = isLarge ? extraField(0x0001, u64(0), u64(0)) : new Uint8Array(0);
  const extra = concatBytes([zip64, timeExtra(node.mtime)]);
  const size = isLarge ? uint32Max : 0;
  return concatBytes([
    u32(0x04034b50),
    u16(isLarge ? versionZip64 : versionPlain),
    u16(flags),
    u16(method),
    dosTime(node.mtime),
    u32(0),
    u32(size),
    u32(size),
    u16(name.byteLength),
    u16(extra.byteLength),
    name,
    extra,
  ]);
}

function dataDescriptor(entry: WrittenEntry, isLarge: boolean): Uint8Array {
  const number = isLarge ? u64 : u32;
  return concatBytes([
    u32(0x08074b50),
    u32(entry.checksum),
    number(entry.compressedSizeBytes),
    number(entry.sizeBytes),
  ]);
}

function centralHeader(entry: WrittenEntry): Uint8Array {
  const { name, node, sizeBytes, compressedSizeBytes, offset } = entry;
  const isLarge = [sizeBytes, compressedSizeBytes, offset].some((value) => value >= uint32Max);
  const zip64 = isLarge
    ? extraField(0x0001, u64(sizeBytes), u64(compressedSizeBytes), u64(offset))
    : new Uint8Array(0);
  const extra = concatBytes([zip64, timeExtra(node.mtime)]);
  const shown = (value: number): Uint8Array => u32(isLarge ? uint32Max : value);
  const mode = (fileTypeBits[node.type] ?? 0) | unixMode(node.mode);
  return concatBytes([
    u32(0x02014b50),
    u16(madeByUnix | versionZip64),
    u16(isLarge ? versionZip64 : versionPlain),
    u16(flags),
    u16(entry.method),
    dosTime(node.mtime),
    u32(entry.checksum),
    shown(compressedSizeBytes),
    shown(sizeBytes),
    u16(name.byteLength),
    u16(extra.byteLength),
    u16(0),
    u16(0),
    u16(0),
    // The low bit 4 marks a folder for DOS.
    u32(((mode << 16) | (node.type === 'dir' ? 0x10 : 0)) >>> 0),
    shown(offset),
    name,
    extra,
  ]);
}

function endOfArchive(count: number, start: number, sizeBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  if (count >= uint16Max || start >= uint32Max || sizeBytes >= uint32Max) {
    const versions = [u16(madeByUnix | versionZip64), u16(versionZip64)];
    const numbers = [u64(count), u64(count), u64(sizeBytes), u64(start)];
    parts.push(u32(0x06064b50), u64(44), ...versions, u32(0), u32(0), ...numbers);
    parts.push(u32(0x07064b50), u32(0), u64(start + sizeBytes), u32(1));
  }
  const shownCount = u16(Math.min(count, uint16Max));
  parts.push(u32(0x06054b50), u16(0), u16(0), shownCount, shownCount);
  parts.push(u32(Math.min(sizeBytes, uint32Max)), u32(Math.min(start, uint32Max)), u16(0));
  return concatBytes(parts);
}

/** The extended timestamp with the modification time, where 32 bits hold it. */
function timeExtra({ seconds }: Timestamp): Uint8Array {
  if (seconds < -0x8000_0000 || seconds > 0x7fff_ffff) return new Uint8Array(0);
  return extraField(0x5455, Uint8Array.of(1), u32(seconds >>> 0));
}

function extraField(id: number, ...parts: Uint8Array[]): Uint8Array {
  const data = concatBytes(parts);
  return concatBytes([u16(id), u16(data.byteLength), data]);
}

/** Time and date in UTC as DOS has them: from 1980 to 2107, in steps of two seconds. */
function dosTime({ seconds }: Timestamp): Uint8Array {
  const date = new Date(Math.min(Math.max(seconds, 315_532_800), 4_354_819_198) * 1000);
  const time =
    (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  const day =
    ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  return concatBytes([u16(time), u16(day)]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
