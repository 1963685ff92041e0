import { describe, expect, test } from 'vitest';
import { JsonReader, parseJsonDocument } from '../../src/repository/json.ts';
import { decodeIndex } from '../../src/repository/index-file.ts';
import { DecodedIndex } from '../../src/repository/index-decoded.ts';
import { decodeKeyFile } from '../../src/repository/key-file.ts';
import { decodeLock } from '../../src/repository/lock-codec.ts';
import { decodeConfig } from '../../src/repository/config.ts';
import { decodeSnapshot } from '../../src/repository/snapshots.ts';
import { decodeTree } from '../../src/repository/tree.ts';
import { codeOf, isLong } from './bed.ts';

/** Hazard D11: JSON that breaks parsers. */

const decoders = {
  config: decodeConfig,
  index: (bytes: Uint8Array) => decodeIndex(bytes, new DecodedIndex()),
  key: decodeKeyFile,
  lock: decodeLock,
  snapshot: decodeSnapshot,
  tree: decodeTree,
} as const;

function nested(times: number): Buffer {
  return Buffer.from('['.repeat(times) + ']'.repeat(times));
}

function skipAll(bytes: Uint8Array): void {
  const reader = new JsonReader(bytes);
  reader.skipValue();
  reader.end();
}

describe('depth', () => {
  const depth = isLong ? 5_000_000 : 200_000;

  test.each(Object.entries(decoders))(`of ${depth} in a %s is damage`, async (_, decode) => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const closed = Buffer.from(`{"unknown":${open.repeat(depth)}1${close.repeat(depth)}}`);
      expect(await codeOf(() => decode(closed))).toMatch(/_DAMAGED$/);
      const unclosed = Buffer.from(open.repeat(depth));
      expect(await codeOf(() => decode(unclosed))).toMatch(/_DAMAGED$/);
    }
  });

  test('of 64 is read, of 65 is not', async () => {
    expect(await codeOf(() => parseJsonDocument(nested(64)))).toBe('none');
    expect(await codeOf(() => parseJsonDocument(nested(65)))).toBe('JSON_INVALID');
    expect(await codeOf(() => skipAll(nested(65)))).toBe('JSON_INVALID');
  });
});

describe('a string or number of', () => {
  const sizeBytes = isLong ? 600 << 20 : 65 << 20;

  test(`${sizeBytes >> 20} MiB is refused`, async () => {
    const text = Buffer.alloc(sizeBytes, 'x');
    text[0] = 0x22;
    text[sizeBytes - 1] = 0x22;
    expect(await codeOf(() => parseJsonDocument(text))).toBe('JSON_INVALID');
    expect(await codeOf(() => skipAll(text))).toBe('JSON_INVALID');
    const number = Buffer.alloc(isLong ? sizeBytes : 1 << 20, '7');
    expect(await codeOf(() => parseJsonDocument(number))).toBe('JSON_INVALID');
    number[1] = 0x2e;
    expect(await codeOf(() => parseJsonDocument(number))).toBe('JSON_INVALID');
  });
});

describe('of keys that come twice', () => {
  const id = 'ab'.repeat(32);
  const other = 'cd'.repeat(32);

  test('the last one counts, also in other case', () => {
    const text = `{"time":"2026-01-01T00:00:00Z","tree":"${id}","TREE":"${other}"}`;
    expect(decodeSnapshot(Buffer.from(text)).tree).toBe(other);
    const map = parseJsonDocument(Buffer.from('{"a":1,"b":2,"a":3}'));
    expect(map).toEqual(
      new Map([
        ['b', 2],
        ['a', 3],
      ]),
    );
  });

  test('two lists of nodes are damage: the first was acted on already', async () => {
    expect(await codeOf(() => decodeTree(Buffer.from('{"nodes":[],"nodes":[]}')))).toBe(
      'TREE_DAMAGED',
    );
  });
});

describe('a number such as', () => {
  test.each([
    '1e400',
    '-1e400',
    '1e99999999999',
    `1${'0'.repeat(400)}`,
    'NaN',
    'Infinity',
    '01',
    '+1',
    '1.',
    '.5',
  ])('%s is refused', async (text) => {
    expect(await codeOf(() => parseJsonDocument(Buffer.from(text)))).toBe('JSON_INVALID');
  });

  test('2^53+1 and 2^64-1 is exact', () => {
    const text = Buffer.from('[9007199254740993,18446744073709551615,-9007199254740993]');
    expect(parseJsonDocument(text)).toEqual([
      9007199254740993n,
      18446744073709551615n,
      -9007199254740993n,
    ]);
  });

  test.each(['-1', '1.5', '1e2', '9007199254740993', '1e400'])(
    '%s for a count is damage',
    async (text) => {
      const lock = Buffer.from(`{"time":"2026-01-01T00:00:00Z","exclusive":false,"pid":${text}}`);
      expect(await codeOf(() => decodeLock(lock))).toBe('LOCK_DAMAGED');
    },
  );
});

describe('text', () => {
  test('with lone surrogates becomes U+FFFD', () => {
    const text = Buffer.from('["\\ud800","\\udc00x","\\ud800\\ud800","\\ud83d\\ude00","a\\ud800"]');
    expect(parseJsonDocument(text)).toEqual(['\ufffd', '\ufffdx', '\ufffd\ufffd', '😀', 'a\ufffd']);
  });

  test('that is no UTF-8 becomes U+FFFD', () => {
    const bytes = Buffer.from([0x22, 0xff, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0x22]);
    expect(parseJsonDocument(bytes)).toBe('\ufffd'.repeat(6));
  });

  test('after a byte order mark, in UTF-16, or before a zero byte is no document', async () => {
    for (const bytes of [
      Buffer.from('\uFEFF{}'),
      Buffer.from('\uFEFF{}', 'utf16le'),
      Buffer.from('{}\0'),
      Buffer.from('\0{}'),
    ]) {
      expect(await codeOf(() => parseJsonDocument(bytes))).toBe('JSON_INVALID');
      for (const decode of Object.values(decoders)) {
        expect(await codeOf(() => decode(bytes))).toMatch(/_DAMAGED$/);
      }
    }
  });
});
