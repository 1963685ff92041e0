import { decodeJsonString } from './json-string.ts';

/** A key written longer than this, with escapes, is none of ours. */
const keySizeBytesMax = 256;

/**
 * The keys an object may have, for `JsonReader.nextKey`. They are ASCII.
 *
 * Matched as Go's `encoding/json` does: the exact name first, else ignoring case, where U+017F counts
 * as s and U+212A as k. A match starts at the key after the last one found, so that keys in their usual
 * order cost one comparison each; this hint is the only state, and one instance may serve many readers
 * of one thread.
 */
export class JsonKeys {
  readonly names: readonly string[];
  readonly #encoded: readonly Uint8Array[];
  readonly #folded: ReadonlyMap<string, number>;
  #hint = 0;

  constructor(names: readonly string[]) {
    this.names = names;
    this.#encoded = names.map((name) => Buffer.from(`${name}"`, 'latin1'));
    this.#folded = new Map(names.map((name, index) => [foldKey(name), index]));
  }

  /**
   * The number of the key whose exact text and closing quote stand at `bytes[at]`, or -1. Names without
   * escapes only; the caller moves on by the name's length.
   */
  matchExact(bytes: Uint8Array, at: number): number {
    const count = this.#encoded.length;
    for (let i = 0, index = this.#hint; i < count; i++, index++) {
      if (index >= count) index -= count;
      const name = this.#encoded[index]!;
      let k = 0;
      while (k < name.length && name[k] === bytes[at + k]) k++;
      if (k === name.length) {
        this.#hint = index + 1;
        return index;
      }
    }
    return -1;
  }

  /** Bytes of a key with its closing quote; 0 for -1. */
  sizeBytesOf(key: number): number {
    return key < 0 ? 0 : this.#encoded[key]!.length;
  }

  /** The number of a key given as the raw content of a JSON string, or -1: exact, escaped or in other case. */
  match(raw: Uint8Array): number {
    if (raw.byteLength > keySizeBytesMax) return -1;
    const text = Buffer.from(decodeJsonString(raw)).toString('utf8');
    const exact = this.names.indexOf(text);
    return exact >= 0 ? exact : (this.#folded.get(foldKey(text)) ?? -1);
  }
}

/** The form of a key in which Go's case-insensitive comparison is equality, for keys named in ASCII. */
export function foldKey(key: string): string {
  return key
    .replaceAll('\u017f', 's')
    .replaceAll('\u212a', 'k')
    .replace(/[A-Z]/g, (c) => c.toLowerCase());
}
