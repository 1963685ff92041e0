import { HoldfastError } from '../base/errors.ts';
import { invalidAnswer } from './http-errors.ts';

/** One entry of a list: the first version of the protocol has names only. */
export interface ListedFile {
  readonly name: string;
  readonly sizeBytes: number | undefined;
}

const entrySizeBytesMax = 4096;
/** 2^24 entries of the 87 bytes that they have. */
const listSizeBytesMax = 2 ** 31;

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const comma = 0x2c;

/**
 * Reads a list of the REST protocol while it comes: `[{"name":"…","size":1},…]` or `["…",…]`. It holds one entry at a time.
 *
 * @see docs/STORES.md#rest
 */
export class RestListReader {
  readonly #what: string;
  readonly #onFile: (file: ListedFile) => void;
  readonly #entry: Buffer = Buffer.allocUnsafe(entrySizeBytesMax);
  #entrySizeBytes = 0;
  #totalBytes = 0;
  #state: 'before' | 'inside' | 'after' = 'before';
  #depth = 0;
  #isText = false;
  #isEscaped = false;

  /** @param what `pack files`, for people */
  constructor(what: string, onFile: (file: ListedFile) => void) {
    this.#what = what;
    this.#onFile = onFile;
  }

  /** @throws BACKEND_READ_FAILED for what is no list, SERVER_ANSWER_INVALID for one that does not end */
  push(chunk: Uint8Array): void {
    this.#totalBytes += chunk.byteLength;
    if (this.#totalBytes > listSizeBytesMax) throw this.#endless();
    for (const byte of chunk) {
      if (this.#isText) this.#readText(byte);
      else this.#readByte(byte);
    }
  }

  /** To be called after the last byte. @throws BACKEND_READ_FAILED if the list is not at its end */
  end(): void {
    // Go writes an empty list that was never made as null.
    if (this.#state === 'before' && this.#kept() === 'null') return;
    if (this.#state !== 'after') throw this.#malformed('it is cut off');
  }

  #readText(byte: number): void {
    this.#keep(byte);
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isText = false;
  }

  #readByte(byte: number): void {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return;
    if (this.#state === 'after') throw this.#malformed('something follows it');
    if (this.#state === 'before') {
      if (byte === openBracket && this.#entrySizeBytes === 0) this.#state = 'inside';
      else if (this.#entrySizeBytes < 4) this.#keep(byte);
      else throw this.#malformed('it is no list');
    } else if (this.#depth === 0 && (byte === comma || byte === closeBracket)) {
      this.#endEntry(byte === closeBracket);
    } else {
      if (byte === quote) this.#isText = true;
      else if (byte === openBrace || byte === openBracket) this.#depth++;
      else if (byte === closeBrace || byte === closeBracket) this.#depth--;
      if (this.#depth < 0) throw this.#malformed('its brackets do not fit');
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    if (this.#entrySizeBytes === entrySizeBytesMax) throw this.#endless();
    this.#entry[this.#entrySizeBytes++] = byte;
  }

  #kept(): string {
    return this.#entry.toString('utf8', 0, this.#entrySizeBytes);
  }

  #endEntry(isLast: boolean): void {
    if (this.#entrySizeBytes > 0) this.#onFile(this.#parse(this.#kept()));
    else if (!isLast) throw this.#malformed('an entry is empty');
    this.#entrySizeBytes = 0;
    if (isLast) this.#state = 'after';
  }

  #parse(text: string): ListedFile {
    const value = parseJson(text);
    if (typeof value === 'string') return { name: value, sizeBytes: undefined };
    if (typeof value !== 'object' || value === null) throw this.#malformed('an entry is no file');
    const name: unknown = Reflect.get(value, 'name');
    const sizeBytes: unknown = Reflect.get(value, 'size');
    const isSize = typeof sizeBytes === 'number' && Number.isSafeInteger(sizeBytes);
    if (typeof name !== 'string' || !isSize || sizeBytes < 0) {
      throw this.#malformed('an entry is no file');
    }
    return { name, sizeBytes };
  }

  #malformed(why: string): HoldfastError {
    return new HoldfastError('BACKEND_READ_FAILED', {
      message: `a list of files from the storage cannot be read: ${why}`,
      details: { list: this.#what },
    });
  }

  #endless(): HoldfastError {
    return invalidAnswer('a list of files from the storage does not end', { list: this.#what });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
