import { assert } from '../../base/assert.ts';

/**
 * Numbers of the protocol, version 3.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
 */
export const requests = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  setAttributesOfHandle: 10,
  openFolder: 11,
  readFolder: 12,
  remove: 13,
  makeFolder: 14,
  stat: 17,
  rename: 18,
  extended: 200,
} as const;

/** Type of a packet that this side sends. */
export type RequestType = (typeof requests)[keyof typeof requests];

/** Types of packets that the server sends. */
export const replies = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  names: 104,
  attributes: 105,
  extended: 201,
} as const;

/** What a status says. */
export const statusCodes = {
  ok: 0,
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

/** How a file is opened. */
export const openFlags = { read: 1, write: 2, create: 8, exclusive: 32 } as const;

const attributeFlags = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 } as const;
const modeTypeMask = 0o170000;
const kindsByMode: Readonly<Record<number, FileKind>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'link',
};

/** What stands under a name. */
export type FileKind = 'file' | 'folder' | 'link' | 'other';

/** What a server tells of a file; what it does not tell is absent. */
export interface Attributes {
  readonly sizeBytes?: number;
  readonly kind?: FileKind;
  /** Permission bits. */
  readonly mode?: number;
  /** Seconds since 1970. */
  readonly modifiedSeconds?: number;
}

/** What the other side sent is not of the protocol. */
export class WireError extends Error {}

/** Builds one packet: length, type, then what is added. Numbers are big-endian. */
export class PacketWriter {
  #bytes: Buffer;
  #length = 5;

  /** @param roomBytes for what comes behind the type; grows by itself */
  constructor(type: number, roomBytes = 200) {
    this.#bytes = Buffer.allocUnsafe(5 + roomBytes);
    this.#bytes[4] = type;
  }

  number(value: number): this {
    this.#grow(4);
    this.#length = this.#bytes.writeUInt32BE(value >>> 0, this.#length);
    return this;
  }

  long(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'an offset is a whole number');
    return this.number(Math.floor(value / 2 ** 32)).number(value % 2 ** 32);
  }

  /** A text or bytes with their length before them. */
  string(value: string | Uint8Array): this {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    this.number(bytes.byteLength).#grow(bytes.byteLength);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.byteLength;
    return this;
  }

  /** Attributes with nothing in them but permission bits, if any. */
  mode(mode: number | undefined): this {
    return mode === undefined ? this.number(0) : this.number(attributeFlags.mode).number(mode);
  }

  finish(): Buffer {
    this.#bytes.writeUInt32BE(this.#length - 4, 0);
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(sizeBytes: number): void {
    if (this.#length + sizeBytes <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(2 * (this.#length + sizeBytes));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

/** Takes a packet's fields in order. @throws WireError past its end */
export class PacketReader {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  number(): number {
    return this.#take(4).readUInt32BE();
  }

  /** A number of 64 bits; what is beyond 2^53 is given as that. */
  long(): number {
    const high = this.number();
    return Math.min(high * 2 ** 32 + this.number(), Number.MAX_SAFE_INTEGER);
  }

  string(): Buffer {
    return this.#take(this.number());
  }

  attributes(): Attributes {
    const flags = this.number();
    const sizeBytes = flags & attributeFlags.size ? this.long() : undefined;
    if (flags & attributeFlags.owner) this.#take(8);
    const mode = flags & attributeFlags.mode ? this.number() : undefined;
    const times = flags & attributeFlags.times ? this.#take(8) : undefined;
    if ((flags & attributeFlags.extended) !== 0) this.#skipExtended();
    return {
      ...(sizeBytes !== undefined && { sizeBytes }),
      ...(mode !== undefined && { mode: mode & 0o7777, kind: kindOf(mode) }),
      ...(times && { modifiedSeconds: times.readUInt32BE(4) }),
    };
  }

  #skipExtended(): void {
    for (let left = this.number(); left > 0; left--) {
      this.string();
      this.string();
    }
  }

  #take(sizeBytes: number): Buffer {
    const end = this.#offset + sizeBytes;
    if (end > this.#bytes.length) throw new WireError('a reply ends before its time');
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}

function kindOf(mode: number): FileKind {
  return kindsByMode[mode & modeTypeMask] ?? 'other';
}
