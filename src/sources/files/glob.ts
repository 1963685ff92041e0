import { defined } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type ByteText, decodeRune, readableText, runeError } from './byte-text.ts';

/** Tokens of a compiled glob: 0-255 a literal byte, then these; a class is `tokenClass` plus its number. */
const tokenAny = 256;
const tokenClass = 257;

/** `[a-z]` or `[^a-z]`. */
interface CharacterClass {
  readonly isNegated: boolean;
  readonly ranges: readonly CharacterRange[];
}

/** Code points, both ends included. */
interface CharacterRange {
  readonly low: number;
  readonly high: number;
}

/** What stands between two stars. */
interface Chunk {
  readonly hasStar: boolean;
  readonly tokens: readonly number[];
}

/** How the common shapes are matched without the general loop. */
type Shape = 'literal' | 'prefix' | 'suffix' | 'anything' | 'general';

/**
 * One path component of a pattern, with the meaning of Go's `filepath.Match` on Unix: `*`, `?`, `[a-z]`, `[^a-z]`, `\c`.
 *
 * The time of a match is bounded by pattern length times name length: no backtracking beyond the last star.
 */
export class Glob {
  /** The longest run of literal bytes that every matching name contains; may be empty. */
  readonly literal: ByteText;
  /** The literal text if nothing else is in the pattern. */
  readonly exact: ByteText | undefined;
  readonly #chunks: readonly Chunk[];
  readonly #classes: readonly CharacterClass[];
  readonly #shape: Shape;

  /** @throws PATTERN_INVALID as Go's ErrBadPattern */
  constructor(pattern: ByteText) {
    const parser = new GlobParser(pattern);
    this.#chunks = parser.parse();
    this.#classes = parser.classes;
    this.#shape = shapeOf(this.#chunks);
    this.literal = longestLiteral(this.#chunks);
    this.exact = this.#shape === 'literal' ? this.literal : undefined;
  }

  /** True if the whole of `name` (one component, no slash) matches. */
  matches(name: ByteText): boolean {
    if (this.#shape === 'suffix') return name.endsWith(this.literal);
    if (this.#shape === 'prefix') return name.startsWith(this.literal);
    if (this.#shape === 'literal') return name === this.literal;
    return this.#shape === 'anything' || this.#matchesGeneral(name);
  }

  #matchesGeneral(name: ByteText): boolean {
    const lastChunk = this.#chunks.length - 1;
    let at = 0;
    for (const [number, chunk] of this.#chunks.entries()) {
      if (chunk.hasStar && chunk.tokens.length === 0) return true;
      at = this.#findChunk(chunk, { name, at, isLast: number === lastChunk });
      if (at < 0) return false;
    }
    return at === name.length;
  }

  /** The end of the leftmost fit of `chunk`, or -1; the last chunk must reach the end of the name. */
  #findChunk(chunk: Chunk, where: { name: ByteText; at: number; isLast: boolean }): number {
    const { name, at, isLast } = where;
    const startMax = chunk.hasStar ? name.length : at;
    for (let start = at; start <= startMax; start++) {
      const end = this.#matchChunk(chunk.tokens, name, start);
      if (end >= 0 && (!isLast || end === name.length)) return end;
    }
    return -1;
  }

  #matchChunk(tokens: readonly number[], name: ByteText, start: number): number {
    let at = start;
    for (const token of tokens) {
      if (at >= name.length) return -1;
      if (token < tokenAny) {
        if (name.charCodeAt(at) !== token) return -1;
        at++;
        continue;
      }
      const decoded = decodeRune(name, at);
      at += decoded & 7;
      if (token !== tokenAny && !this.#isInClass(token - tokenClass, decoded >>> 3)) return -1;
    }
    return at;
  }

  #isInClass(number: number, rune: number): boolean {
    const { isNegated, ranges } = defined(this.#classes[number], 'every class token has a class');
    return ranges.some(({ low, high }) => low <= rune && rune <= high) !== isNegated;
  }
}

/** True if `text` has a character that makes a component more than literal text. */
export function hasGlobCharacter(text: ByteText): boolean {
  return /[\\[\]*?]/.test(text);
}

class GlobParser {
  readonly classes: CharacterClass[] = [];
  readonly #pattern: ByteText;
  #at = 0;

  constructor(pattern: ByteText) {
    this.#pattern = pattern;
  }

  parse(): Chunk[] {
    const chunks: Chunk[] = [];
    while (this.#at < this.#pattern.length) {
      const start = this.#at;
      while (this.#pattern[this.#at] === '*') this.#at++;
      const hasStar = this.#at > start;
      chunks.push({ hasStar, tokens: this.#parseChunk(this.#endOfChunk()) });
    }
    return chunks;
  }

  /** Go finds the next star first, with a simpler view of classes than the one that parses them. */
  #endOfChunk(): number {
    const pattern = this.#pattern;
    let isInClass = false;
    let at = this.#at;
    for (; at < pattern.length; at++) {
      const character = pattern[at];
      if (character === '*' && !isInClass) return at;
      if (character === '\\' && at + 1 < pattern.length) at++;
      else if (character === '[') isInClass = true;
      else if (character === ']') isInClass = false;
    }
    return at;
  }

  #parseChunk(end: number): number[] {
    const tokens: number[] = [];
    while (this.#at < end) {
      const character = this.#pattern[this.#at];
      if (character === '[') tokens.push(this.#parseClass(end));
      else if (character === '?') {
        tokens.push(tokenAny);
        this.#at++;
      } else {
        if (character === '\\') this.#at++;
        if (this.#at >= end) throw this.#invalid();
        tokens.push(this.#pattern.charCodeAt(this.#at++));
      }
    }
    return tokens;
  }

  #parseClass(end: number): number {
    this.#at++;
    const isNegated = this.#at < end && this.#pattern[this.#at] === '^';
    if (isNegated) this.#at++;
    const ranges: CharacterRange[] = [];
    while (ranges.length === 0 || this.#pattern[this.#at] !== ']') {
      const low = this.#parseClassCharacter(end);
      let high = low;
      if (this.#pattern[this.#at] === '-') {
        this.#at++;
        high = this.#parseClassCharacter(end);
      }
      ranges.push({ low, high });
    }
    this.#at++;
    this.classes.push({ isNegated, ranges });
    return tokenClass + this.classes.length - 1;
  }

  #parseClassCharacter(end: number): number {
    const character = this.#pattern[this.#at];
    if (this.#at >= end || character === '-' || character === ']') throw this.#invalid();
    if (character === '\\') this.#at++;
    if (this.#at >= end) throw this.#invalid();
    const decoded = decodeRune(this.#pattern.slice(0, end), this.#at);
    if (decoded === runeError * 8 + 1) throw this.#invalid();
    this.#at += decoded & 7;
    if (this.#at >= end) throw this.#invalid();
    return decoded >>> 3;
  }

  #invalid(): HoldfastError {
    return new HoldfastError('PATTERN_INVALID', {
      details: { pattern: readableText(this.#pattern) },
      hint: 'Close every "[" and put a character after every "\\"; "\\[" stands for a plain "[".',
    });
  }
}

function shapeOf(chunks: readonly Chunk[]): Shape {
  const [first, second] = chunks;
  if (first === undefined) return 'literal';
  if (!chunks.every((chunk) => chunk.tokens.every((token) => token < tokenAny))) return 'general';
  if (chunks.length === 1) {
    if (!first.hasStar) return 'literal';
    return first.tokens.length === 0 ? 'anything' : 'suffix';
  }
  const isPrefix = chunks.length === 2 && !first.hasStar && second?.tokens.length === 0;
  return isPrefix ? 'prefix' : 'general';
}

function longestLiteral(chunks: readonly Chunk[]): ByteText {
  let longest = '';
  for (const chunk of chunks) {
    let run = '';
    for (const token of chunk.tokens) {
      run = token < tokenAny ? run + String.fromCharCode(token) : '';
      if (run.length > longest.length) longest = run;
    }
  }
  return longest;
}
