/**
 * The field of 65,536 elements, and a numbering of its elements as points of nested subspaces: bits of a number choose
 * vectors of a basis in which each vector plus its square is the vector before it (Cantor 1989). With this basis the
 * factors of the additive Fourier transform are points again.
 */

const order = 65_535;
/** x^16 + x^12 + x^3 + x + 1, primitive. */
const modulus = 0x1100b;

interface FieldTables {
  readonly logs: Uint16Array;
  /** Twice as long as the order, so that sums of two logs need no reduction. */
  readonly powers: Uint16Array;
  readonly points: Uint16Array;
}

let made: FieldTables | undefined;

function tables(): FieldTables {
  made ??= makeTables();
  return made;
}

function makeTables(): FieldTables {
  const logs = new Uint16Array(order + 1);
  const powers = new Uint16Array(2 * order + 1);
  let value = 1;
  for (let log = 0; log < order; log++) {
    powers[log] = value;
    powers[log + order] = value;
    logs[value] = log;
    value <<= 1;
    if (value > order) value ^= modulus;
  }
  const square = (a: number): number => (a === 0 ? 0 : (powers[2 * (logs[a] ?? 0)] ?? 0));
  const basis = cantorBasis(square);
  const points = new Uint16Array(order + 1);
  for (const [bit, vector] of basis.entries()) {
    const count = 2 ** bit;
    for (let i = 0; i < count; i++) points[count + i] = (points[i] ?? 0) ^ vector;
  }
  return { logs, powers, points };
}

/** A chain from 1 upwards: begun at its end, which is any element that leads there. */
function cantorBasis(square: (a: number) => number): number[] {
  for (let last = 2; ; last++) {
    const chain = [last];
    for (let vector = last; chain.length < 16; ) {
      vector ^= square(vector);
      chain.unshift(vector);
    }
    if (chain[0] === 1) return chain;
  }
}

/** The product of two elements. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  const { logs, powers } = tables();
  return powers[logs[a]! + logs[b]!]!;
}

/** Log of an element other than 0. */
export function logOf(a: number): number {
  return tables().logs[a]!;
}

/** The element with a log from 0 to 65,534. */
export function powerOf(log: number): number {
  return tables().powers[log]!;
}

/** The point with a number from 0 to 65,535; the sum of two points has the number that is the XOR of theirs. */
export function pointOf(number: number): number {
  return tables().points[number]!;
}

const lowProducts = new Uint16Array(256);
const highProducts = new Uint16Array(256);

/** Adds `factor` times `source` to `target`, symbol by symbol. Both have the same length. */
export function multiplyAdd(target: Uint16Array, source: Uint16Array, factor: number): void {
  if (factor === 0) return;
  const [low, high] = [lowProducts, highProducts];
  for (let bit = 0; bit < 8; bit++) {
    const [a, b] = [multiply(factor, 1 << bit), multiply(factor, 256 << bit)];
    const count = 1 << bit;
    for (let i = 0; i < count; i++) {
      low[count + i] = low[i]! ^ a;
      high[count + i] = high[i]! ^ b;
    }
  }
  const { length } = target;
  for (let i = 0; i < length; i++) {
    const symbol = source[i]!;
    target[i] = target[i]! ^ low[symbol & 255]! ^ high[symbol >> 8]!;
  }
}

/** Adds `source` to `target`. Both have the same length, and start and length are multiples of 4 bytes where that is quick. */
export function xorInto(target: Uint16Array, source: Uint16Array): void {
  const isWide = ((target.byteOffset | source.byteOffset | target.byteLength) & 3) === 0;
  if (!isWide) {
    for (let i = 0; i < target.length; i++) target[i] = target[i]! ^ source[i]!;
    return;
  }
  const count = target.byteLength / 4;
  const to = new Uint32Array(target.buffer, target.byteOffset, count);
  const from = new Uint32Array(source.buffer, source.byteOffset, count);
  for (let i = 0; i < count; i++) to[i] = to[i]! ^ from[i]!;
}
