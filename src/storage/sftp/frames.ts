import { replies, WireError } from './wire.ts';

/** Largest packet that is taken; OpenSSH's client has the same limit. */
export const frameSizeBytesMax: number = 256 * 1024;

const headSizeBytes = 9;
const dataHeadSizeBytes = 13;

/** What is done with packets as they come. */
export interface FrameHandler {
  /** Where the content of a reply with data goes. @throws WireError if nobody waits for it, or there is no room */
  target(id: number, sizeBytes: number): Uint8Array;
  /** All data of a reply stand in its target. */
  data(id: number, sizeBytes: number): void;
  /** Any other packet. @param body what comes behind type and id; only valid during the call */
  packet(type: number, id: number, body: Buffer): void;
}

/**
 * Cuts a stream of bytes into packets. File contents go from the stream to their target at once; nothing else is larger than
 * `frameSizeBytesMax`.
 */
export class Frames {
  readonly #handler: FrameHandler;
  readonly #head = Buffer.alloc(dataHeadSizeBytes);
  #headLength = 0;
  /** Of the packet at hand, once its head is known. */
  #body: Buffer | undefined;
  #target: Uint8Array | undefined;
  #filled = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** @throws WireError, after which nothing more can be understood */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#target) offset = this.#fillTarget(this.#target, chunk, offset);
      else if (this.#body) offset = this.#fillBody(this.#body, chunk, offset);
      else offset = this.#fillHead(chunk, offset);
    }
  }

  #fillHead(chunk: Buffer, offset: number): number {
    const wanted = this.#headLength >= headSizeBytes ? dataHeadSizeBytes : headSizeBytes;
    const count = Math.min(wanted - this.#headLength, chunk.length - offset);
    chunk.copy(this.#head, this.#headLength, offset, offset + count);
    this.#headLength += count;
    if (this.#headLength < wanted) return offset + count;
    const isData = this.#head[4] === replies.data;
    if (wanted === dataHeadSizeBytes) this.#beginData();
    else {
      const length = this.#head.readUInt32BE(0);
      if (length < 5 || length > frameSizeBytesMax) {
        throw new WireError(`a packet of ${length} bytes`);
      }
      if (!isData) return this.#beginBody(length - 5, chunk, offset + count);
    }
    return offset + count;
  }

  #beginData(): void {
    const sizeBytes = this.#head.readUInt32BE(9);
    if (sizeBytes !== this.#head.readUInt32BE(0) - 9) {
      throw new WireError('a reply with data of another length than its packet');
    }
    this.#target = this.#handler.target(this.#id, sizeBytes);
    this.#filled = 0;
    if (sizeBytes === 0) this.#endData();
  }

  #fillTarget(target: Uint8Array, chunk: Buffer, offset: number): number {
    const count = Math.min(target.byteLength - this.#filled, chunk.length - offset);
    target.set(chunk.subarray(offset, offset + count), this.#filled);
    this.#filled += count;
    if (this.#filled === target.byteLength) this.#endData();
    return offset + count;
  }

  #endData(): void {
    const id = this.#id;
    this.#reset();
    this.#handler.data(id, this.#filled);
  }

  #beginBody(sizeBytes: number, chunk: Buffer, offset: number): number {
    if (chunk.length - offset >= sizeBytes) {
      this.#endBody(chunk.subarray(offset, offset + sizeBytes));
      return offset + sizeBytes;
    }
    this.#body = Buffer.allocUnsafe(sizeBytes);
    this.#filled = 0;
    return offset;
  }

  #fillBody(body: Buffer, chunk: Buffer, offset: number): number {
    const count = Math.min(body.length - this.#filled, chunk.length - offset);
    chunk.copy(body, this.#filled, offset, offset + count);
    this.#filled += count;
    if (this.#filled === body.length) this.#endBody(body);
    return offset + count;
  }

  #endBody(body: Buffer): void {
    const type = this.#head.readUInt8(4);
    const id = this.#id;
    this.#reset();
    this.#handler.packet(type, id, body);
  }

  get #id(): number {
    return this.#head.readUInt32BE(5);
  }

  #reset(): void {
    this.#headLength = 0;
    this.#body = undefined;
    this.#target = undefined;
  }
}
