import { assert } from '../base/assert.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { idSizeBytes } from './id.ts';
import { endOfObject, JsonKeys, type JsonReader } from './json.ts';
import { unquoteName } from './name-quoting.ts';
import type { ExtendedAttribute, NodeType, StrayReferences, TreeNode } from './node.ts';
import { parseTimeBytes, zeroTime } from './time-format.ts';

/** The keys of a node in restic's order. */
const nodeKeyNames = [
  'name',
  'type',
  'mode',
  'mtime',
  'atime',
  'ctime',
  'uid',
  'gid',
  'user',
  'group',
  'inode',
  'device_id',
  'size',
  'links',
  'linktarget',
  'linktarget_raw',
  'extended_attributes',
  'generic_attributes',
  'device',
  'content',
  'subtree',
  'error',
] as const;

type NodeKey = (typeof nodeKeyNames)[number];

const nodeTypes: ReadonlyMap<string, NodeType> = new Map(
  (['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular'] as const).map(
    (type) => [type, type],
  ),
);

const uint32Max = 0xffff_ffff;
const uint64Max = 0xffff_ffff_ffff_ffffn;
const keys = new JsonKeys(nodeKeyNames);
const attributeKeys = new JsonKeys(['name', 'value']);
const noBytes = new Uint8Array(0);
const noAttributes: readonly ExtendedAttribute[] = [];

/** A node while its fields come in. All fields are there from the beginning, so that all nodes have one shape. */
export class NodeDraft implements TreeNode {
  name: Uint8Array = noBytes;
  type: NodeType = 'irregular';
  mode = 0;
  mtime: Timestamp = zeroTime;
  atime: Timestamp = zeroTime;
  ctime: Timestamp = zeroTime;
  uid = 0;
  gid = 0;
  user = '';
  group = '';
  inode: number | bigint = 0;
  deviceId: number | bigint = 0;
  sizeBytes = 0;
  links = 0;
  linkTarget: Uint8Array | undefined = undefined;
  extendedAttributes: readonly ExtendedAttribute[] = noAttributes;
  genericAttributes: Uint8Array | undefined = undefined;
  device: number | bigint = 0;
  content: Uint8Array | undefined = undefined;
  subtree: Uint8Array | undefined = undefined;
  error: string | undefined = undefined;
  invalid: string | undefined = undefined;
  stray: StrayReferences | undefined = undefined;
}

/** Text that mostly repeats: equal bytes give the same string without decoding again. */
class TextMemo {
  readonly #reader: JsonReader;
  #raw: Uint8Array = noBytes;
  #text = '';

  constructor(reader: JsonReader) {
    this.#reader = reader;
  }

  read(): string {
    const reader = this.#reader;
    if (reader.trySame(this.#raw)) return this.#text;
    reader.scanString();
    this.#text = reader.stringText();
    this.#raw = reader.bytes.subarray(reader.stringStart, reader.stringEnd);
    return this.#text;
  }
}

/**
 * Reads the nodes of one tree from a JSON reader.
 *
 * Throws JSON_INVALID for a field of a wrong type, which `field` then names; a node that is only not fit for
 * use is marked `invalid`.
 */
export class NodeReader {
  /** The field that was read last. */
  field: NodeKey | '' = '';
  readonly #reader: JsonReader;
  readonly #types: TextMemo;
  readonly #users: TextMemo;
  readonly #groups: TextMemo;
  #lastTime: Timestamp = zeroTime;
  #lastTimeRaw: Uint8Array = Buffer.from('0001-01-01T00:00:00Z', 'latin1');
  #ids: Uint8Array<ArrayBuffer> = new Uint8Array(16 * idSizeBytes);
  #hasRawTarget = false;
  #hasType = false;

  constructor(reader: JsonReader) {
    this.#reader = reader;
    this.#types = new TextMemo(reader);
    this.#users = new TextMemo(reader);
    this.#groups = new TextMemo(reader);
  }

  /** The next node. */
  read(): NodeDraft {
    const reader = this.#reader;
    const node = new NodeDraft();
    this.field = '';
    this.#hasRawTarget = false;
    this.#hasType = false;
    reader.beginObject();
    for (let key = reader.nextKey(keys); key !== endOfObject; key = reader.nextKey(keys)) {
      const field = nodeKeyNames[key];
      if (field === undefined) {
        reader.skipValue();
        continue;
      }
      this.field = field;
      if (reader.tryNull()) setNull(node, field);
      else this.#readField(node, field);
    }
    node.invalid ??= this.#hasType ? whyInvalid(node) : 'it has no type';
    return node;
  }

  #readField(node: NodeDraft, field: NodeKey): void {
    switch (field) {
      case 'name':
        this.#readName(node);
        return;
      case 'type':
        this.#readType(node);
        return;
      case 'mode':
        node.mode = this.#uint32();
        return;
      case 'mtime':
        node.mtime = this.#time();
        return;
      case 'atime':
        node.atime = this.#time();
        return;
      case 'ctime':
        node.ctime = this.#time();
        return;
      case 'uid':
        node.uid = this.#uint32();
        return;
      case 'gid':
        node.gid = this.#uint32();
        return;
      case 'user':
        node.user = this.#users.read();
        return;
      case 'group':
        node.group = this.#groups.read();
        return;
      case 'inode':
        node.inode = this.#uint64();
        return;
      case 'device_id':
        node.deviceId = this.#uint64();
        return;
      case 'size':
        node.sizeBytes = this.#count(node);
        return;
      case 'links':
        node.links = this.#count(node);
        return;
      case 'content':
        node.content = this.#readContent();
        return;
      case 'linktarget':
      case 'linktarget_raw':
      case 'extended_attributes':
      case 'generic_attributes':
      case 'device':
      case 'subtree':
      case 'error':
        this.#readRareField(node, field);
    }
  }

  #readRareField(node: NodeDraft, field: NodeKey): void {
    const reader = this.#reader;
    if (field === 'subtree') {
      node.subtree = new Uint8Array(idSizeBytes);
      this.#readId(node.subtree, 0);
    } else if (field === 'linktarget') {
      const target = reader.readBytes();
      if (!this.#hasRawTarget) node.linkTarget = target;
    } else if (field === 'linktarget_raw') {
      const target = reader.readBase64();
      this.#hasRawTarget = target.byteLength > 0;
      if (this.#hasRawTarget) node.linkTarget = target;
    } else if (field === 'extended_attributes') {
      node.extendedAttributes = this.#readAttributes();
    } else if (field === 'generic_attributes') {
      node.genericAttributes = this.#readGenericAttributes();
    } else if (field === 'device') {
      node.device = this.#uint64();
    } else {
      assert(field === 'error', 'every field of a node is read');
      node.error = reader.readText();
    }
  }

  #readName(node: NodeDraft): void {
    const reader = this.#reader;
    reader.scanString();
    if (reader.stringIsPlain) {
      node.name = reader.bytes.slice(reader.stringStart, reader.stringEnd);
      return;
    }
    const quoted = reader.stringBytes();
    const name = unquoteName(quoted);
    if (name === undefined) node.invalid = 'its name is not quoted rightly';
    node.name = name ?? quoted;
  }

  #readType(node: NodeDraft): void {
    this.#hasType = true;
    const text = this.#types.read();
    const type = nodeTypes.get(text);
    if (type === undefined) node.invalid = `its type is not known: ${text.slice(0, 32)}`;
    node.type = type ?? 'irregular';
  }

  #time(): Timestamp {
    const reader = this.#reader;
    if (reader.trySame(this.#lastTimeRaw)) return this.#lastTime;
    reader.scanString();
    const { bytes, stringStart, stringEnd } = reader;
    const time = parseTimeBytes(bytes, stringStart, stringEnd);
    if (time === undefined) throw reader.error('has a time that is not in the form of RFC 3339');
    this.#lastTime = time;
    this.#lastTimeRaw = bytes.subarray(stringStart, stringEnd);
    return time;
  }

  #uint32(): number {
    const value = this.#reader.readInteger();
    if (typeof value === 'number' && value >= 0 && value <= uint32Max) return value;
    throw this.#reader.error('has a number out of range');
  }

  #uint64(): number | bigint {
    const value = this.#reader.readInteger();
    if (value >= 0 && value <= uint64Max) return value;
    throw this.#reader.error('has a number out of range');
  }

  #count(node: NodeDraft): number {
    const value = this.#uint64();
    if (typeof value === 'number') return value;
    node.invalid = `its ${this.field} is not plausible`;
    return 0;
  }

  #readContent(): Uint8Array {
    const reader = this.#reader;
    let size = 0;
    reader.beginArray();
    while (reader.nextElement()) {
      if (size === this.#ids.byteLength) {
        this.#ids = new Uint8Array(this.#ids.buffer.transfer(2 * size));
      }
      this.#readId(this.#ids, size);
      size += idSizeBytes;
    }
    return this.#ids.slice(0, size);
  }

  #readId(target: Uint8Array, offset: number): void {
    if (this.#reader.readHexInto(target, offset, idSizeBytes)) return;
    throw this.#reader.error('has an id that is not 64 hex digits');
  }

  #readAttributes(): readonly ExtendedAttribute[] {
    const reader = this.#reader;
    const attributes: ExtendedAttribute[] = [];
    reader.beginArray();
    while (reader.nextElement()) {
      let name: Uint8Array = noBytes;
      let value: Uint8Array = noBytes;
      reader.beginObject();
      for (
        let key = reader.nextKey(attributeKeys);
        key !== endOfObject;
        key = reader.nextKey(attributeKeys)
      ) {
        if (key < 0) reader.skipValue();
        else if (reader.tryNull()) continue;
        else if (key === 0) name = reader.readBytes();
        else value = reader.readBase64();
      }
      attributes.push({ name, value });
    }
    return attributes.length === 0 ? noAttributes : attributes;
  }

  #readGenericAttributes(): Uint8Array | undefined {
    const reader = this.#reader;
    if (reader.peek() !== 'object') throw reader.error('has attributes that are not an object');
    const raw = reader.readRaw().slice();
    const isEmpty = raw.subarray(1, -1).every((byte) => byte <= 0x20);
    return isEmpty ? undefined : raw;
  }
}

/** Go leaves a value alone where the document has null, but empties lists, maps and pointers. */
function setNull(node: NodeDraft, field: NodeKey): void {
  if (field === 'content') node.content = undefined;
  else if (field === 'subtree') node.subtree = undefined;
  else if (field === 'extended_attributes') node.extendedAttributes = noAttributes;
  else if (field === 'generic_attributes') node.genericAttributes = undefined;
}

/** Sets apart what the type of a node cannot have. */
function setStraysApart(node: NodeDraft): void {
  const content = node.type === 'file' ? undefined : node.content;
  const subtree = node.type === 'dir' ? undefined : node.subtree;
  if (content === undefined && subtree === undefined) return;
  if (content) node.content = undefined;
  if (subtree) node.subtree = undefined;
  if (subtree || (content && content.byteLength > 0)) node.stray = { content, subtree };
}

/** Why a node whose fields are all right one by one must not be used. */
function whyInvalid(node: NodeDraft): string | undefined {
  setStraysApart(node);
  if (node.type === 'file' && node.content === undefined) return 'it is a file without content';
  if (node.type === 'dir' && node.subtree === undefined)
    return 'it is a directory without a subtree';
  const { name } = node;
  if (name.length === 0) return 'its name is empty';
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) {
    return 'its name is "." or ".."';
  }
  for (let i = 0; i < name.length; i++) {
    if (name[i] === 0x2f) return 'its name has a slash';
    if (name[i] === 0) return 'its name has a null byte';
  }
  return undefined;
}
