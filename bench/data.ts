// Data for the benchmarks, made from a seed: the same bytes on every machine.
import { createCipheriv, createHash } from 'node:crypto';
import { appendFileSync, closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A small generator with a fixed sequence (xorshift32). */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Normal with mean 0 and deviation 1 (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.next() + 1e-12)) * Math.cos(2 * Math.PI * this.next());
  }
}

const poolBytes = 48 << 20;

/** Text that compresses about as program sources do: words by Zipf's law, lines, indentation. */
function textPool(random: SeededRandom): Buffer {
  const words = Array.from({ length: 4000 }, () => {
    const length = 2 + random.below(9);
    return Array.from({ length }, () => String.fromCharCode(97 + random.below(26))).join('');
  });
  const pool = Buffer.alloc(poolBytes);
  let at = 0;
  while (at < poolBytes - 32) {
    const rank = random.next() ** 3;
    const word = words[Math.floor(rank * words.length)] ?? 'a';
    const end = random.next() < 0.1 ? '\n    ' : random.next() < 0.1 ? ');' : ' ';
    at += pool.write(word + end, at);
  }
  return pool;
}

/** Bytes that no compressor shrinks: an AES-CTR key stream of the seed. */
class Incompressible {
  readonly #cipher;

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest();
    this.#cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }

  next(sizeBytes: number): Buffer {
    return this.#cipher.update(Buffer.alloc(sizeBytes));
  }
}

export interface TreeOptions {
  readonly fileCount: number;
  /** Bytes of all files together, about. */
  readonly totalBytes: number;
  readonly seed: number;
}

/**
 * Makes a tree of small and middling files, 50 a folder: sizes log-normal, most content text, every
 * tenth file half incompressible.
 */
export function makeTree(root: string, options: TreeOptions): void {
  const random = new SeededRandom(options.seed);
  const pool = textPool(random);
  const noise = new Incompressible(`tree ${options.seed}`);
  const sizes = Array.from({ length: options.fileCount }, () => Math.exp(1.5 * random.normal()));
  const scale = options.totalBytes / sizes.reduce((sum, size) => sum + size, 0);
  sizes.forEach((relative, i) => {
    const folder = join(root, `d${Math.floor(i / 2000)}`, `s${Math.floor(i / 50) % 40}`);
    if (i % 50 === 0) mkdirSync(folder, { recursive: true });
    const content = Buffer.alloc(Math.max(1, Math.round(relative * scale)));
    for (let at = 0; at < content.length; ) {
      const length = Math.min(content.length - at, 512 + random.below(32_768));
      const from = random.below(poolBytes - 65_536);
      pool.copy(content, at, from, from + length);
      at += length;
    }
    if (i % 10 === 0) noise.next(content.length >> 1).copy(content);
    writeFileSync(join(folder, `f${i}.txt`), content);
  });
}

/** Changes every file whose number leaves `round` when divided by 50, and adds to it. */
export function changeTree(root: string, options: { fileCount: number; round: number }): void {
  for (let i = options.round; i < options.fileCount; i += 50) {
    const folder = join(root, `d${Math.floor(i / 2000)}`, `s${Math.floor(i / 50) % 40}`);
    appendFileSync(join(folder, `f${i}.txt`), `changed in round ${options.round}\n`);
  }
}

/** Makes many files of one size, 1,000 a folder. */
export function makeManyFiles(root: string, options: { count: number; sizeBytes: number }): void {
  const noise = new Incompressible('many files');
  for (let i = 0; i < options.count; i++) {
    const folder = join(root, `d${Math.floor(i / 1000)}`);
    if (i % 1000 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${i}`), noise.next(options.sizeBytes));
  }
}

/** Makes one incompressible file. */
export function makeLargeFile(path: string, sizeBytes: number): void {
  const noise = new Incompressible('large file');
  const fd = openSync(path, 'w');
  try {
    for (let left = sizeBytes; left > 0; ) {
      const part = noise.next(Math.min(left, 16 << 20));
      writeSync(fd, part);
      left -= part.length;
    }
  } finally {
    closeSync(fd);
  }
}
