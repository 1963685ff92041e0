// AssemblyScript, compiled to WebAssembly by scripts/build-kernels.mjs; see ../scrypt-lanes.ts for the contract.
//
// scryptROMix (RFC 7914) of two blocks of 128 * r bytes. A step of Salsa20 waits for the one before it, so one block
// leaves half of the processor idle: two independent lanes run in one loop. Both may be the same, at the price of the
// second one.
//
// The 16 words of each 64 bytes lie in the order of the diagonals of Salsa20's matrix (word i is word 5 * i mod 16 of
// the standard): a quarter round of all four columns is then one operation on vectors, and rows follow from columns by
// turning three of the vectors.
//
// Memory of a lane, which the caller lays out: the block, a second block to work in, then N rows of 128 * r bytes.

/** x ^ ((a + b) rotated left by `bits`), in each word. */
function step(x: v128, a: v128, b: v128, bits: i32): v128 {
  const sum = i32x4.add(a, b);
  return v128.xor(v128.xor(x, i32x4.shl(sum, bits)), i32x4.shr_u(sum, 32 - bits));
}

function turn1(x: v128): v128 {
  return i32x4.shuffle(x, x, 1, 2, 3, 0);
}

function turn2(x: v128): v128 {
  return i32x4.shuffle(x, x, 2, 3, 0, 1);
}

function turn3(x: v128): v128 {
  return i32x4.shuffle(x, x, 3, 0, 1, 2);
}

/** The bytes at `p`, xored with those at `row` unless it is 0. */
function read(p: usize, row: usize): v128 {
  const value = v128.load(p);
  return row == 0 ? value : v128.xor(value, v128.load(row));
}

/**
 * scryptBlockMix of two lanes, the second `lane` bytes behind the first: the block at `input`, xored with the row at
 * `rowA` (`rowB` in the second lane) unless that is 0, goes to `output`.
 */
function mixBlocks(
  input: usize,
  output: usize,
  rowA: usize,
  rowB: usize,
  lane: usize,
  r: usize,
): void {
  const last: usize = 128 * r - 64;
  const endA = input + last;
  const endB = endA + lane;
  const endRowA: usize = rowA == 0 ? 0 : rowA + last;
  const endRowB: usize = rowB == 0 ? 0 : rowB + last;
  let a0 = read(endA, endRowA);
  let a1 = read(endA + 16, endRowA == 0 ? 0 : endRowA + 16);
  let a2 = read(endA + 32, endRowA == 0 ? 0 : endRowA + 32);
  let a3 = read(endA + 48, endRowA == 0 ? 0 : endRowA + 48);
  let b0 = read(endB, endRowB);
  let b1 = read(endB + 16, endRowB == 0 ? 0 : endRowB + 16);
  let b2 = read(endB + 32, endRowB == 0 ? 0 : endRowB + 32);
  let b3 = read(endB + 48, endRowB == 0 ? 0 : endRowB + 48);
  for (let part: usize = 0; part < 2 * r; part++) {
    const pA = input + 64 * part;
    const pB = pA + lane;
    const qA: usize = rowA == 0 ? 0 : rowA + 64 * part;
    const qB: usize = rowB == 0 ? 0 : rowB + 64 * part;
    const a0Before = v128.xor(a0, read(pA, qA));
    const a1Before = v128.xor(a1, read(pA + 16, qA == 0 ? 0 : qA + 16));
    const a2Before = v128.xor(a2, read(pA + 32, qA == 0 ? 0 : qA + 32));
    const a3Before = v128.xor(a3, read(pA + 48, qA == 0 ? 0 : qA + 48));
    const b0Before = v128.xor(b0, read(pB, qB));
    const b1Before = v128.xor(b1, read(pB + 16, qB == 0 ? 0 : qB + 16));
    const b2Before = v128.xor(b2, read(pB + 32, qB == 0 ? 0 : qB + 32));
    const b3Before = v128.xor(b3, read(pB + 48, qB == 0 ? 0 : qB + 48));
    a0 = a0Before;
    a1 = a1Before;
    a2 = a2Before;
    a3 = a3Before;
    b0 = b0Before;
    b1 = b1Before;
    b2 = b2Before;
    b3 = b3Before;
    for (let round = 0; round < 4; round++) {
      a1 = step(a1, a0, a3, 7);
      b1 = step(b1, b0, b3, 7);
      a2 = step(a2, a1, a0, 9);
      b2 = step(b2, b1, b0, 9);
      a3 = step(a3, a2, a1, 13);
      b3 = step(b3, b2, b1, 13);
      a0 = step(a0, a3, a2, 18);
      b0 = step(b0, b3, b2, 18);
      a1 = turn3(a1);
      a2 = turn2(a2);
      a3 = turn1(a3);
      b1 = turn3(b1);
      b2 = turn2(b2);
      b3 = turn1(b3);
      a3 = step(a3, a0, a1, 7);
      b3 = step(b3, b0, b1, 7);
      a2 = step(a2, a3, a0, 9);
      b2 = step(b2, b3, b0, 9);
      a1 = step(a1, a2, a3, 13);
      b1 = step(b1, b2, b3, 13);
      a0 = step(a0, a1, a2, 18);
      b0 = step(b0, b1, b2, 18);
      a1 = turn1(a1);
      a2 = turn2(a2);
      a3 = turn3(a3);
      b1 = turn1(b1);
      b2 = turn2(b2);
      b3 = turn3(b3);
    }
    a0 = i32x4.add(a0, a0Before);
    a1 = i32x4.add(a1, a1Before);
    a2 = i32x4.add(a2, a2Before);
    a3 = i32x4.add(a3, a3Before);
    b0 = i32x4.add(b0, b0Before);
    b1 = i32x4.add(b1, b1Before);
    b2 = i32x4.add(b2, b2Before);
    b3 = i32x4.add(b3, b3Before);
    const outA = output + 64 * ((part & 1) * r + (part >> 1));
    const outB = outA + lane;
    v128.store(outA, a0);
    v128.store(outA, a1, 16);
    v128.store(outA, a2, 32);
    v128.store(outA, a3, 48);
    v128.store(outB, b0);
    v128.store(outB, b1, 16);
    v128.store(outB, b2, 32);
    v128.store(outB, b3, 48);
  }
}

/** The row that the block at `block` names: its last 64 bytes begin with the number. N is a power of two. */
function rowOf(block: usize, rows: usize, N: u32, r: usize): usize {
  const number = load<u32>(block + 128 * r - 64) & (N - 1);
  return rows + 128 * r * <usize>number;
}

/** Mixes the block at `first`, and the one `lane` bytes behind it, in place. `lane` may be 0. */
export function mix(first: usize, lane: usize, N: u32, r: usize): void {
  const size: usize = 128 * r;
  const other = first + size;
  const rows = other + size;
  memory.copy(rows, first, size);
  if (lane != 0) memory.copy(rows + lane, first + lane, size);
  for (let i: u32 = 1; i < N; i++) {
    const row = rows + size * <usize>i;
    mixBlocks(row - size, row, 0, 0, lane, r);
  }
  mixBlocks(rows + size * (<usize>N - 1), first, 0, 0, lane, r);
  // N is even: after the last turn the result is where it began.
  for (let i: u32 = 0; i < N; i += 2) {
    mixBlocks(
      first,
      other,
      rowOf(first, rows, N, r),
      rowOf(first + lane, rows + lane, N, r),
      lane,
      r,
    );
    mixBlocks(
      other,
      first,
      rowOf(other, rows, N, r),
      rowOf(other + lane, rows + lane, N, r),
      lane,
      r,
    );
  }
}
