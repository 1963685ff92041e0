import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';

const pbkdf2Async = promisify(pbkdf2);

/** Block mixes between two pauses, some 10 milliseconds: other work of the thread goes on meanwhile. */
const mixesPerTurn = 16_384;

/** Input of a derivation; `sizeBytes` is the length of the result. */
export interface ScryptInput {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly sizeBytes: number;
}

/**
 * scrypt (RFC 7914) without the RFC's limit of N below 2^(16 r), which OpenSSL enforces: old repositories have keys
 * outside it. Some 5 times slower than OpenSSL. Takes 128 * N * r bytes of memory; the caller has checked N, r and p.
 */
export async function portableScrypt(input: ScryptInput): Promise<Uint8Array> {
  const { password, salt, N, r, p } = input;
  assert(N > 1 && (N & (N - 1)) === 0, 'N of scrypt is a power of two');
  const blockSizeBytes = 128 * r;
  const bytes = await pbkdf2Async(password, salt, 1, p * blockSizeBytes, 'sha256');
  const mixer = new Mixer(N, r);
  for (let i = 0; i < p; i++) {
    const block = bytes.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes);
    await mixer.mix(block);
  }
  return pbkdf2Async(password, bytes, 1, input.sizeBytes, 'sha256');
}

/** scryptROMix with its memory, used for one block after the other. */
class Mixer {
  readonly #N: number;
  readonly #wordCount: number;
  readonly #memory: Int32Array;
  #current: Int32Array;
  #next: Int32Array;

  constructor(N: number, r: number) {
    this.#N = N;
    this.#wordCount = 32 * r;
    this.#memory = new Int32Array(N * this.#wordCount);
    this.#current = new Int32Array(this.#wordCount);
    this.#next = new Int32Array(this.#wordCount);
  }

  /** Replaces `block`, 128 * r bytes, by its mix. */
  async mix(block: Uint8Array): Promise<void> {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    for (let i = 0; i < this.#wordCount; i++) this.#current[i] = view.getInt32(4 * i, true);
    for (let i = 0; i < this.#N; i++) {
      this.#memory.set(this.#current, i * this.#wordCount);
      this.#step();
      if (i % mixesPerTurn === mixesPerTurn - 1) await systemClock.nextTurn();
    }
    for (let i = 0; i < this.#N; i++) {
      this.#xorWith(this.#current[this.#wordCount - 16]! & (this.#N - 1));
      this.#step();
      if (i % mixesPerTurn === mixesPerTurn - 1) await systemClock.nextTurn();
    }
    for (let i = 0; i < this.#wordCount; i++) view.setInt32(4 * i, this.#current[i]!, true);
  }

  #xorWith(row: number): void {
    const current = this.#current;
    const start = row * this.#wordCount;
    for (let i = 0; i < current.length; i++) current[i]! ^= this.#memory[start + i]!;
  }

  #step(): void {
    mixBlock(this.#current, this.#next);
    [this.#current, this.#next] = [this.#next, this.#current];
  }
}

// Scratch of the synchronous functions below: allocating it per call would double their time.
const x = new Int32Array(16);
const before = new Int32Array(16);

/** scryptBlockMix: 64-byte parts chained through Salsa20/8, even ones first, odd ones behind. */
function mixBlock(source: Int32Array, target: Int32Array): void {
  const half = source.length / 2;
  for (let i = 0; i < 16; i++) x[i] = source[source.length - 16 + i]!;
  for (let part = 0; part < source.length / 16; part++) {
    for (let i = 0; i < 16; i++) {
      const word = x[i]! ^ source[16 * part + i]!;
      x[i] = word;
      before[i] = word;
    }
    salsa8();
    const start = (part % 2) * half + 16 * (part >>> 1);
    for (let i = 0; i < 16; i++) {
      const word = x[i]! + before[i]!;
      x[i] = word;
      target[start + i] = word;
    }
  }
}

/** The eight rounds of Salsa20/8 on `x`: four times columns and then rows. */
function salsa8(): void {
  for (let round = 0; round < 4; round++) {
    quarter(0, 4, 8, 12);
    quarter(5, 9, 13, 1);
    quarter(10, 14, 2, 6);
    quarter(15, 3, 7, 11);
    quarter(0, 1, 2, 3);
    quarter(5, 6, 7, 4);
    quarter(10, 11, 8, 9);
    quarter(15, 12, 13, 14);
  }
}

function quarter(a: number, b: number, c: number, d: number): void {
  x[b]! ^= rotate(x[a]! + x[d]!, 7);
  x[c]! ^= rotate(x[b]! + x[a]!, 9);
  x[d]! ^= rotate(x[c]! + x[b]!, 13);
  x[a]! ^= rotate(x[d]! + x[c]!, 18);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
