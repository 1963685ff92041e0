import { assert } from '../base/assert.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { idSizeBytes } from './id.ts';
import { JsonWriter } from './json-writer.ts';
import { utf8SequenceLength } from './json-utf8.ts';
import { quoteName } from './name-quoting.ts';
import { type ExtendedAttribute, isNameBefore, type NodeType, type TreeNode } from './node.ts';
import { TimeFormatter, type ZoneOffset } from './time-format.ts';

/** What stands before the nodes of a tree. @see docs/FORMAT.md */
export const treeBegin: Uint8Array = ascii('{"nodes":[');
/** What stands after them. */
export const treeEnd: Uint8Array = ascii(']}\n');

const noName = new Uint8Array(0);
const begin = treeBegin;
const end = treeEnd;
const nameKey = ascii('{"name":"');
const typeKey: Readonly<Record<NodeType, Uint8Array>> = {
  file: ascii('","type":"file"'),
  dir: ascii('","type":"dir"'),
  symlink: ascii('","type":"symlink"'),
  dev: ascii('","type":"dev"'),
  chardev: ascii('","type":"chardev"'),
  fifo: ascii('","type":"fifo"'),
  socket: ascii('","type":"socket"'),
  irregular: ascii('","type":"irregular"'),
};
const modeKey = ascii(',"mode":');
const mtimeKey = ascii(',"mtime":"');
const atimeKey = ascii('","atime":"');
const ctimeKey = ascii('","ctime":"');
const inodeKey = ascii(',"inode":');
const deviceIdKey = ascii(',"device_id":');
const sizeKey = ascii(',"size":');
const linksKey = ascii(',"links":');
const deviceKey = ascii(',"device":');
const contentKey = ascii(',"content":');
const nullContent = ascii(',"content":null');
const subtreeKey = ascii(',"subtree":"');

/** Bytes of a node with a name, without its name, owner, content and what only some nodes have. */
const fixedSizeBytesMax = 512;

/** 1 for bytes that stand for themselves in a quoted and JSON-escaped name. */
export const plainInName: Uint8Array = makePlainBytes();

/**
 * Encodes trees byte for byte as restic does, so that an equal directory gives an equal blob.
 *
 * Nodes come in strictly increasing order of their raw names. One encoder serves many trees, one after the
 * other. It writes straight into one growing byte array; no string is made per node.
 * @see docs/FORMAT.md#trees
 */
export class TreeEncoder {
  readonly #writer = new JsonWriter(64 * 1024);
  readonly #times: TimeFormatter;
  readonly #owners = new OwnerFormatter();
  #nodeCount = 0;
  #previousName: Uint8Array = noName;

  /** @param zone of times that do not carry an offset of their own */
  constructor(zone: ZoneOffset) {
    this.#times = new TimeFormatter(zone);
  }

  /** Nodes added since the last `finish` or `reset`. */
  get nodeCount(): number {
    return this.#nodeCount;
  }

  /**
   * Adds a node. Its name must come after the name before and stay unchanged until the next call.
   * @throws ASSERTION_FAILED if the order is wrong or the node has not what its type needs
   */
  add(node: TreeNode): void {
    this.#check(node);
    const writer = this.#writer;
    if (this.#nodeCount++ === 0) writer.raw(begin);
    else writer.byte(0x2c);
    this.#previousName = node.name;
    this.#addMetadata(node);
    this.#addContent(node);
    if (node.error !== undefined && node.error !== '') {
      writer.ascii(',"error":');
      writer.string(node.error);
    }
    writer.byte(0x7d);
  }

  /**
   * Compares what `add` writes of a node before its content (everything but content, subtree and error) with stored bytes.
   * Not within a tree.
   * @returns the offset in `bytes` behind it; -1 if they differ
   */
  endOfMetadata(node: TreeNode, bytes: Buffer, at: number): number {
    assert(this.#nodeCount === 0, 'the encoder is not within a tree');
    const writer = this.#writer;
    writer.reset();
    this.#addMetadata(node);
    const stop = at + writer.length;
    const isEqual =
      stop <= bytes.length && bytes.compare(writer.bytes, 0, writer.length, at, stop) === 0;
    writer.reset();
    return isEqual ? stop : -1;
  }

  #addMetadata(node: TreeNode): void {
    const writer = this.#writer;
    this.#addName(node.name);
    writer.reserve(fixedSizeBytesMax);
    this.#addHead(node);
    writer.raw(this.#owners.of(node));
    this.#addNumbers(node);
    if (node.linkTarget !== undefined) addLinkTarget(writer, node.linkTarget);
    if (node.extendedAttributes.length > 0) addAttributes(writer, node.extendedAttributes);
    if (node.genericAttributes !== undefined) {
      writer.ascii(',"generic_attributes":');
      writer.raw(node.genericAttributes);
    }
    if (Number(node.device) !== 0) this.#addInteger(deviceKey, node.device);
  }

  /**
   * Gives the nodes so far without what begins and ends a tree: with a comma between them, such parts make up a tree of
   * any size. At least one node. The encoder is ready for the next.
   */
  finishPart(): Uint8Array<ArrayBuffer> {
    assert(this.#nodeCount > 0, 'a part of a tree has nodes');
    const bytes = this.#writer.finish();
    this.reset();
    return bytes.subarray(begin.length);
  }

  /** Ends the tree and gives its bytes, owned by the caller; the encoder is ready for the next. */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.#nodeCount === 0) this.#writer.raw(begin);
    this.#writer.raw(end);
    const bytes = this.#writer.finish();
    this.reset();
    return bytes;
  }

  /** Drops what was added. */
  reset(): void {
    this.#writer.reset();
    this.#nodeCount = 0;
    this.#previousName = noName;
  }

  #check(node: TreeNode): void {
    assert(node.invalid === undefined, 'a tree node to be encoded is valid');
    assert(
      isNameBefore(this.#previousName, node.name),
      'tree nodes come in strictly increasing order of their names',
    );
    const contentSizeBytes = node.content?.byteLength ?? -1;
    assert(
      node.type === 'file' ? contentSizeBytes % idSizeBytes === 0 : contentSizeBytes < 0,
      'file nodes, and no others, have content',
    );
    assert(
      (node.subtree?.byteLength ?? 0) === (node.type === 'dir' ? idSizeBytes : 0),
      'directory nodes, and no others, have a subtree',
    );
  }

  #addName(name: Uint8Array): void {
    const writer = this.#writer;
    const length = name.length;
    writer.reserve(nameKey.length + length);
    const target = writer.bytes;
    const start = put(target, writer.length, nameKey);
    writer.length = start;
    let i = 0;
    for (; i < length; i++) {
      const byte = name[i]!;
      if (plainInName[byte] === 0) break;
      target[start + i] = byte;
    }
    if (i === length) {
      writer.length = start + length;
      return;
    }
    assert(!name.includes(0x2f) && !name.includes(0), 'a tree node has a file name');
    writer.escaped(quoteName(name));
  }

  /** Type, mode and times; room was made. */
  #addHead(node: TreeNode): void {
    const writer = this.#writer;
    writer.length = put(writer.bytes, writer.length, typeKey[node.type]);
    if (node.mode !== 0) this.#addInteger(modeKey, node.mode);
    const target = writer.bytes;
    const { mtime, atime, ctime } = node;
    const start = put(target, writer.length, mtimeKey);
    const stop = this.#times.put(target, start, mtime);
    let at = put(target, stop, atimeKey);
    at = isSameTime(atime, mtime)
      ? repeat(target, at, { start, stop })
      : this.#times.put(target, at, atime);
    at = put(target, at, ctimeKey);
    at = isSameTime(ctime, mtime)
      ? repeat(target, at, { start, stop })
      : this.#times.put(target, at, ctime);
    target[at] = 0x22;
    writer.length = at + 1;
  }

  #addNumbers(node: TreeNode): void {
    // Zero may be 0n.
    if (Number(node.inode) !== 0) this.#addInteger(inodeKey, node.inode);
    if (Number(node.deviceId) !== 0) this.#addInteger(deviceIdKey, node.deviceId);
    if (node.sizeBytes !== 0) this.#addInteger(sizeKey, node.sizeBytes);
    if (node.links !== 0) this.#addInteger(linksKey, node.links);
  }

  #addContent(node: TreeNode): void {
    const writer = this.#writer;
    if (node.content === undefined) writer.raw(nullContent);
    else this.#addIds(node.content);
    if (node.subtree === undefined) return;
    writer.raw(subtreeKey);
    writer.hex(node.subtree);
    writer.byte(0x22);
  }

  #addIds(ids: Uint8Array): void {
    const writer = this.#writer;
    writer.raw(contentKey);
    writer.byte(0x5b);
    for (let offset = 0; offset < ids.byteLength; offset += idSizeBytes) {
      if (offset > 0) writer.byte(0x2c);
      writer.byte(0x22);
      writer.hex(ids, offset, idSizeBytes);
      writer.byte(0x22);
    }
    writer.byte(0x5d);
  }

  #addInteger(key: Uint8Array, value: number | bigint): void {
    const writer = this.#writer;
    writer.reserve(key.length);
    writer.length = put(writer.bytes, writer.length, key);
    writer.integer(value);
  }
}

/** Owner and names of a node; neighbours mostly have the same. */
export class OwnerFormatter {
  readonly #writer = new JsonWriter(256);
  #uid = -1;
  #gid = -1;
  #user = '';
  #group = '';
  #formatted: Uint8Array = new Uint8Array(0);

  of({ uid, gid, user, group }: Pick<TreeNode, 'uid' | 'gid' | 'user' | 'group'>): Uint8Array {
    if (uid === this.#uid && gid === this.#gid && user === this.#user && group === this.#group) {
      return this.#formatted;
    }
    const writer = this.#writer;
    writer.ascii(',"uid":');
    writer.integer(uid);
    writer.ascii(',"gid":');
    writer.integer(gid);
    if (user !== '') {
      writer.ascii(',"user":');
      writer.string(user);
    }
    if (group !== '') {
      writer.ascii(',"group":');
      writer.string(group);
    }
    this.#uid = uid;
    this.#gid = gid;
    this.#user = user;
    this.#group = group;
    this.#formatted = writer.finish();
    return this.#formatted;
  }
}

function addLinkTarget(writer: JsonWriter, target: Uint8Array): void {
  if (target.byteLength === 0) return;
  writer.ascii(',"linktarget":');
  writer.string(target);
  if (isUtf8(target)) return;
  writer.ascii(',"linktarget_raw":"');
  writer.base64(target);
  writer.byte(0x22);
}

function addAttributes(writer: JsonWriter, attributes: readonly ExtendedAttribute[]): void {
  writer.ascii(',"extended_attributes":[');
  for (const [i, attribute] of attributes.entries()) {
    writer.ascii(i === 0 ? '{"name":' : ',{"name":');
    writer.string(attribute.name);
    writer.ascii(',"value":"');
    writer.base64(attribute.value);
    writer.ascii('"}');
  }
  writer.byte(0x5d);
}

function isUtf8(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; ) {
    const length = bytes[i]! < 0x80 ? 1 : utf8SequenceLength(bytes, i, bytes.length);
    if (length === 0) return false;
    i += length;
  }
  return true;
}

/** Writes `source` at `target[at]` and gives the offset after it. A loop beats `set` at these sizes. */
function put(target: Uint8Array, at: number, source: Uint8Array): number {
  const length = source.length;
  for (let i = 0; i < length; i++) target[at + i] = source[i]!;
  return at + length;
}

/** Writes `target[start, stop)` once more at `target[at]` and gives the offset after it. */
function repeat(
  target: Uint8Array,
  at: number,
  { start, stop }: { readonly start: number; readonly stop: number },
): number {
  for (let i = start; i < stop; i++) target[at + i - start] = target[i]!;
  return at + stop - start;
}

function isSameTime(a: Timestamp, b: Timestamp): boolean {
  return (
    a === b ||
    (a.seconds === b.seconds &&
      a.nanoseconds === b.nanoseconds &&
      a.offsetMinutes === b.offsetMinutes)
  );
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function makePlainBytes(): Uint8Array {
  const table = new Uint8Array(256).fill(1, 0x20, 0x7f);
  for (const c of '"\\<>&/') table[c.charCodeAt(0)] = 0;
  return table;
}
