// AssemblyScript, compiled to WebAssembly by scripts/build-kernels.mjs; see src/repository/packed-tree-matcher.ts for the contract.
//
// Compares the nodes of a stored tree with what was read of a directory. A second backup does so once a file and ends before
// JavaScript that does the same is optimised: as WebAssembly it is fast from the first node on.

/** Address and length (u32 each) of the texts, by number. */
const TEXTS: usize = 0;
/** 1 for each byte of a name that stands for itself. */
const PLAIN: usize = 128;
const DIGITS_END: usize = 416;
/** The day (i64, 0 in fresh memory) whose date is kept, and the text of the time at hand, which begins with it. */
const DAY: usize = 416;
const TIME: usize = 432;
const DATE_LENGTH: usize = 10;
const NODE_SIZE: usize = 17 * 8;

const BEGIN = 0;
const END = 1;
const NAME = 2;
const FILE = 3;
const DIRECTORY = 4;
const MTIME = 5;
const ATIME = 6;
const CTIME = 7;
const QUOTE = 8;
const INODE = 9;
const DEVICE = 10;
const SIZE = 11;
const LINKS = 12;
const CONTENT = 13;
const SUBTREE = 14;

const SECONDS_PER_DAY: i64 = 86400;
/** 10000-01-01. */
const SECONDS_END: i64 = 253402300800;

/** Where the tree goes on, and where it ends. */
let at: usize = 0;
let stop: usize = 0;

function take(text: usize, length: usize): bool {
  if (at + length > stop) return false;
  let i: usize = 0;
  for (; i + 8 <= length; i += 8) {
    if (load<u64>(at + i) != load<u64>(text + i)) return false;
  }
  for (; i < length; i++) {
    if (load<u8>(at + i) != load<u8>(text + i)) return false;
  }
  at += length;
  return true;
}

function takeByte(byte: u8): bool {
  if (at >= stop || load<u8>(at) != byte) return false;
  at++;
  return true;
}

function takeText(number: usize): bool {
  return take(load<u32>(TEXTS + number * 8), load<u32>(TEXTS + number * 8 + 4));
}

function takeName(name: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) {
    if (load<u8>(PLAIN + load<u8>(name + i)) == 0) return false;
  }
  return take(name, length);
}

function takeInteger(value: u64): bool {
  let p = DIGITS_END;
  do {
    const rest = value / 10;
    store<u8>(--p, <u8>(48 + value - rest * 10));
    value = rest;
  } while (value != 0);
  return take(p, DIGITS_END - p);
}

/** A field that is left out where it is 0. */
function takeField(key: usize, value: f64): bool {
  return value == 0 || (takeText(key) && takeInteger(<u64>value));
}

function putTwo(p: usize, value: u32): void {
  store<u8>(p, <u8>(48 + value / 10));
  store<u8>(p + 1, <u8>(48 + (value % 10)));
}

/** Date of a day since 1970; see civilFromDay in src/repository/time-format.ts. */
function putDate(day: u32): void {
  const shifted = day + 719468;
  const era = shifted / 146097;
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const shiftedMonth = (5 * dayOfYear + 2) / 153;
  const dayOfMonth = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  putTwo(TIME, year / 100);
  putTwo(TIME + 2, year % 100);
  store<u8>(TIME + 4, 0x2d);
  putTwo(TIME + 5, month);
  store<u8>(TIME + 7, 0x2d);
  putTwo(TIME + 8, dayOfMonth);
}

/** Writes a time to TIME. Returns its length; 0 for one outside the years 1970 to 9999. */
function putTime(seconds: i64, nanoseconds: u32, offset: i64): usize {
  const wall = seconds + offset;
  if (wall < SECONDS_PER_DAY || wall >= SECONDS_END) return 0;
  const day = wall / SECONDS_PER_DAY;
  if (day != load<i64>(DAY)) {
    putDate(<u32>day);
    store<i64>(DAY, day);
  }
  const second = <u32>(wall - day * SECONDS_PER_DAY);
  const minute = second / 60;
  let p = TIME + DATE_LENGTH;
  store<u8>(p, 0x54);
  putTwo(p + 1, minute / 60);
  store<u8>(p + 3, 0x3a);
  putTwo(p + 4, minute % 60);
  store<u8>(p + 6, 0x3a);
  putTwo(p + 7, second % 60);
  p += 9;
  if (nanoseconds > 0) {
    store<u8>(p, 0x2e);
    let digits: usize = 9;
    while (nanoseconds % 10 == 0) {
      nanoseconds /= 10;
      digits--;
    }
    for (let i = digits; i > 0; i--) {
      store<u8>(p + i, <u8>(48 + (nanoseconds % 10)));
      nanoseconds /= 10;
    }
    p += 1 + digits;
  }
  if (offset == 0) {
    store<u8>(p, 0x5a);
    return p + 1 - TIME;
  }
  const minutes = <u32>((offset < 0 ? -offset : offset) / 60);
  // Less than a minute west is written as no minute east.
  store<u8>(p, offset <= -60 ? 0x2d : 0x2b);
  putTwo(p + 1, minutes / 60);
  store<u8>(p + 3, 0x3a);
  putTwo(p + 4, minutes % 60);
  return p + 6 - TIME;
}

function takeTimes(node: usize): bool {
  const seconds = load<f64>(node, 80);
  const nanoseconds = load<f64>(node, 88);
  const changedSeconds = load<f64>(node, 112);
  const changedNanoseconds = load<f64>(node, 120);
  let length = putTime(<i64>seconds, <u32>nanoseconds, <i64>load<f64>(node, 56));
  if (length == 0 || !takeText(MTIME) || !take(TIME, length)) return false;
  if (!takeText(ATIME) || !take(TIME, length) || !takeText(CTIME)) return false;
  if (changedSeconds != seconds || changedNanoseconds != nanoseconds) {
    length = putTime(<i64>changedSeconds, <u32>changedNanoseconds, <i64>load<f64>(node, 72));
  }
  return length > 0 && take(TIME, length) && takeText(QUOTE);
}

function hexValue(digit: u8): u32 {
  const value = <u32>digit - 48;
  if (value < 10) return value;
  const letter = <u32>digit - 97;
  return letter < 6 ? letter + 10 : 255;
}

/** An id from quoted lower-case hex. */
function takeId(target: usize): bool {
  if (at + 66 > stop || load<u8>(at) != 0x22 || load<u8>(at, 65) != 0x22) return false;
  for (let i: usize = 0; i < 32; i++) {
    const high = hexValue(load<u8>(at + 2 * i, 1));
    const low = hexValue(load<u8>(at + 2 * i, 2));
    if ((high | low) > 15) return false;
    store<u8>(target + i, <u8>((high << 4) | low));
  }
  at += 66;
  return true;
}

function takeMetadata(node: usize, name: usize): bool {
  const isFile = load<f64>(node) == 0;
  return (
    takeText(NAME) &&
    takeName(name, <usize>load<f64>(node, 128)) &&
    takeText(isFile ? FILE : DIRECTORY) &&
    takeInteger(<u64>load<f64>(node, 8)) &&
    takeTimes(node) &&
    take(<usize>load<f64>(node, 16), <usize>load<f64>(node, 24)) &&
    takeField(INODE, load<f64>(node, 40)) &&
    takeField(DEVICE, load<f64>(node, 48)) &&
    takeField(SIZE, load<f64>(node, 64)) &&
    takeField(LINKS, load<f64>(node, 32))
  );
}

/**
 * Compares a whole tree with `count` nodes at `node`, whose names follow one another at `name`.
 * Writes the ids of all contents to `ids`, those of subtrees to `subtrees`. Returns the number of content ids; -1 if anything
 * differs.
 */
export function match(
  tree: usize,
  treeSize: usize,
  node: usize,
  count: usize,
  name: usize,
  ids: usize,
  subtrees: usize,
): i32 {
  at = tree;
  stop = tree + treeSize;
  const idsStart = ids;
  if (!takeText(BEGIN)) return -1;
  for (let i: usize = 0; i < count; i++, node += NODE_SIZE) {
    if (i > 0 && !takeByte(0x2c)) return -1;
    if (!takeMetadata(node, name)) return -1;
    name += <usize>load<f64>(node, 128);
    if (load<f64>(node) != 0) {
      if (!takeText(SUBTREE) || !takeId(subtrees)) return -1;
      subtrees += 32;
    } else {
      if (!takeText(CONTENT)) return -1;
      if (!takeByte(0x5d)) {
        do {
          if (!takeId(ids)) return -1;
          ids += 32;
        } while (takeByte(0x2c));
        if (!takeByte(0x5d)) return -1;
      }
    }
    if (!takeByte(0x7d)) return -1;
  }
  if (!takeText(END) || at != stop) return -1;
  return <i32>((ids - idsStart) / 32);
}
