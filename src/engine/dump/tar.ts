import { assert } from '../../base/assert.ts';
import { concatBytes, utf8 } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { type TreeNode, unixMode } from '../../repository/tree.ts';
import { aclText } from './acl-text.ts';
import type { ArchiveEntry, ArchiveWriter, ByteWriter } from './archive.ts';

const blockSizeBytes = 512;
const nameSizeBytesMax = 100;
const ownerSizeBytesMax = 32;
/** Largest value of 7 and 11 octal digits. */
const octal7Max = 0o7777777;
const octal11Max = 0o77777777777;

const typeFlags = {
  file: '0',
  symlink: '2',
  chardev: '3',
  dev: '4',
  dir: '5',
  fifo: '6',
} as const;

/** Extended attributes that tar programs expect as text under names of their own. */
const aclKeys: Readonly<Record<string, string>> = {
  'system.posix_acl_access': 'SCHILY.acl.access',
  'system.posix_acl_default': 'SCHILY.acl.default',
};

type TypeFlag = (typeof typeFlags)[keyof typeof typeFlags] | 'x';

/**
 * Writes a tar archive in the pax format: ustar headers, and extended headers for long names, large numbers, times with
 * fractions and extended attributes.
 * @see POSIX.1-2024, pax: Interchange Format
 */
export class TarWriter implements ArchiveWriter {
  readonly #write: ByteWriter;

  constructor(write: ByteWriter) {
    this.#write = write;
  }

  refusal({ type }: TreeNode): string | undefined {
    return type in typeFlags ? undefined : `a tar archive cannot hold a ${type}`;
  }

  async add(entry: ArchiveEntry): Promise<void> {
    const { node, sizeBytes } = entry;
    await this.#write(headersOf(entry));
    let written = 0;
    if (node.type === 'file') {
      for await (const bytes of entry.content()) {
        written += bytes.byteLength;
        await this.#write(bytes);
      }
    }
    assert(written === sizeBytes, 'the content of a file has the size that the index says');
    await this.#write(new Uint8Array(paddingOf(sizeBytes)));
  }

  async finish(): Promise<void> {
    await this.#write(new Uint8Array(2 * blockSizeBytes));
  }
}

function paddingOf(sizeBytes: number): number {
  return (blockSizeBytes - (sizeBytes % blockSizeBytes)) % blockSizeBytes;
}

function headersOf({ path, node, sizeBytes }: ArchiveEntry): Uint8Array {
  const name = node.type === 'dir' ? concatBytes([path, utf8('/')]) : path;
  const records = paxRecords(name, node, sizeBytes);
  const parts: Uint8Array[] = [];
  if (records.byteLength > 0) {
    const title = concatBytes([utf8('PaxHeaders/'), path]).subarray(0, nameSizeBytesMax);
    parts.push(header({ name: title, typeFlag: 'x', sizeBytes: records.byteLength }));
    parts.push(records, new Uint8Array(paddingOf(records.byteLength)));
  }
  const typeFlag = typeFlags[node.type as keyof typeof typeFlags];
  parts.push(header({ name, typeFlag, sizeBytes, node }));
  return concatBytes(parts);
}

interface HeaderParts {
  readonly name: Uint8Array;
  readonly typeFlag: TypeFlag;
  readonly sizeBytes: number;
  readonly node?: TreeNode;
}

/** One header block. What does not fit stands in the records before it. */
function header({ name, typeFlag, sizeBytes, node }: HeaderParts): Uint8Array {
  const block = Buffer.alloc(blockSizeBytes);
  const octal = (at: number, digits: number, value: number): void => {
    const max = digits === 7 ? octal7Max : octal11Max;
    const shown = value >= 0 && value <= max ? value : 0;
    block.write(shown.toString(8).padStart(digits, '0'), at, 'latin1');
  };
  block.set(name.subarray(0, nameSizeBytesMax), 0);
  octal(100, 7, node ? unixMode(node.mode) : 0o644);
  octal(108, 7, node?.uid ?? 0);
  octal(116, 7, node?.gid ?? 0);
  octal(124, 11, sizeBytes);
  octal(136, 11, node?.mtime.seconds ?? 0);
  block.write('        ', 148, 'latin1');
  block.write(typeFlag, 156, 'latin1');
  if (node?.linkTarget) block.set(node.linkTarget.subarray(0, nameSizeBytesMax), 157);
  block.write('ustar\u000000', 257, 'latin1');
  block.set(utf8(node?.user ?? '').subarray(0, ownerSizeBytesMax - 1), 265);
  block.set(utf8(node?.group ?? '').subarray(0, ownerSizeBytesMax - 1), 297);
  const { major, minor } = deviceNumbers(node?.device ?? 0);
  octal(329, 7, major);
  octal(337, 7, minor);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}

/** Major and minor number of a Linux `dev_t`. @see glibc sys/sysmacros.h */
function deviceNumbers(device: number | bigint): { major: number; minor: number } {
  const value = BigInt(device);
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Records for what the plain header cannot say. */
function paxRecords(name: Uint8Array, node: TreeNode, sizeBytes: number): Uint8Array {
  const records: Uint8Array[] = [];
  const add = (key: string, value: string | Uint8Array): void => {
    records.push(paxRecord(key, typeof value === 'string' ? utf8(value) : value));
  };
  const target = node.linkTarget ?? new Uint8Array(0);
  const longTexts = [name, target].filter((text) => text.byteLength > nameSizeBytesMax);
  if (longTexts.some((text) => !isUtf8(text))) add('hdrcharset', 'BINARY');
  if (name.byteLength > nameSizeBytesMax) add('path', name);
  if (target.byteLength > nameSizeBytesMax) add('linkpath', target);
  if (sizeBytes > octal11Max) add('size', String(sizeBytes));
  if (node.uid > octal7Max) add('uid', String(node.uid));
  if (node.gid > octal7Max) add('gid', String(node.gid));
  if (utf8(node.user).byteLength >= ownerSizeBytesMax) add('uname', node.user);
  if (utf8(node.group).byteLength >= ownerSizeBytesMax) add('gname', node.group);
  const { seconds, nanoseconds } = node.mtime;
  if (nanoseconds !== 0 || seconds < 0 || seconds > octal11Max) add('mtime', decimal(node.mtime));
  for (const attribute of node.extendedAttributes) {
    const key = Buffer.from(attribute.name).toString('utf8');
    const acl = aclKeys[key] === undefined ? undefined : aclText(attribute.value);
    if (acl === undefined) add(`SCHILY.xattr.${key}`, attribute.value);
    else add(aclKeys[key] ?? '', acl);
  }
  return concatBytes(records);
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  if (key.includes('=')) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'a tar archive cannot hold an extended attribute with "=" in its name',
      details: { key },
    });
  }
  const size = utf8(key).byteLength + value.byteLength + 3;
  let total = size + String(size).length;
  if (String(total).length !== String(size).length) total = size + String(total).length;
  return concatBytes([utf8(`${total} ${key}=`), value, utf8('\n')]);
}

function decimal({ seconds, nanoseconds }: Timestamp): string {
  // Before 1970 the fraction counts backwards from the next second.
  const isNegative = seconds < 0 && nanoseconds > 0;
  const whole = isNegative ? seconds + 1 : seconds;
  const fraction = isNegative ? 1_000_000_000 - nanoseconds : nanoseconds;
  const sign = isNegative && whole === 0 ? '-' : '';
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${sign}${whole}${digits === '' ? '' : `.${digits}`}`;
}

function isUtf8(bytes: Uint8Array): boolean {
  return Buffer.from(Buffer.from(bytes).toString('utf8'), 'utf8').equals(bytes);
}
