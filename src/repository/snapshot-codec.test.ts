import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import {
  decodeAnySnapshot,
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
} from './snapshot-codec.ts';
import { decodeUsualSnapshot } from './snapshot-usual.ts';

const tree = 'bc0cd425468451e71a7bc5b9d9ea4367f08eee22d07d72975467b2be63887765';
const damaged = expect.objectContaining({ code: 'SNAPSHOT_DAMAGED' });
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const decode = (json: string): Snapshot => decodeSnapshot(utf8(json));

/** As restic 0.19.1 wrote it. */
const written = `{"time":"2026-11-22T18:30:06.303318866+01:00","tree":"${tree}","paths":["/dev/shm/src"],"hostname":"vm","username":"root","excludes":["*.\\u003cx\\u003e","nope"],"tags":["a","b"],"program_version":"restic 0.19.1","summary":{"backup_start":"2026-11-22T18:30:06.303318866+01:00","backup_end":"2026-11-22T18:30:06.868245535+01:00","files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":1,"dirs_changed":0,"dirs_unmodified":0,"data_blobs":1,"tree_blobs":2,"data_added":697,"data_added_packed":660,"total_files_processed":1,"total_bytes_processed":3}}`;

test('reads what restic wrote and writes it again byte for byte', () => {
  const snapshot = decode(written);
  expect(snapshot.time).toEqual({
    seconds: 1795368606,
    nanoseconds: 303318866,
    offsetMinutes: 60,
  });
  expect(snapshot.excludes).toEqual(['*.<x>', 'nope']);
  expect(snapshot.summary?.dataAddedPacked).toBe(660);
  expect(text(encodeSnapshot(snapshot))).toBe(written);
});

test('leaves out what is empty or zero, but not the paths', () => {
  const snapshot: Snapshot = {
    time: { seconds: 0, nanoseconds: 5_000_000, offsetMinutes: 0 },
    tree,
    paths: [],
    hostname: '',
    uid: 0,
    gid: 1000,
    tags: [],
  };
  expect(text(encodeSnapshot(snapshot))).toBe(
    `{"time":"1970-01-01T00:00:00.005Z","tree":"${tree}","paths":[],"gid":1000}`,
  );
});

test('needs time and tree only, and takes null for absent', () => {
  const snapshot = decode(
    `{"time":"1969-12-31T23:59:59.9Z","tree":"${tree}","paths":null,"parent":null,"summary":null}`,
  );
  expect(snapshot.paths).toEqual([]);
  expect(snapshot.time.seconds).toBe(-1);
  expect(snapshot.parent).toBeUndefined();
  expect(decode(`{"time":"2026-01-02T03:04:05Z","tree":"${tree}","summary":{}}`).summary).toEqual(
    {},
  );
});

test('keeps unknown fields, also those of the summary', () => {
  const json = `{"time":"2026-01-02T03:04:05Z","tree":"${tree}","paths":["/a"],"__proto__":{"polluted":1},"later":[1.50,{"x":null}]}`;
  const snapshot = decode(json);
  expect(text(encodeSnapshot(snapshot))).toBe(json);
  expect('polluted' in snapshot).toBe(false);
  const withSummary = written.replace('"files_new"', '"files_moved":9007199254740993,"files_new"');
  expect(text(encodeSnapshot(decode(withSummary)))).toBe(
    written.replace('3}}', '3,"files_moved":9007199254740993}}'),
  );
});

test.each([
  ['no tree', '{"time":"2026-01-02T03:04:05Z"}'],
  ['no time', `{"tree":"${tree}"}`],
  ['null tree', '{"time":"2026-01-02T03:04:05Z","tree":null}'],
  ['short tree', '{"time":"2026-01-02T03:04:05Z","tree":"abcd"}'],
  ['tree of another kind', '{"time":"2026-01-02T03:04:05Z","tree":{}}'],
  ['year of six digits', `{"time":"100000-01-02T03:04:05Z","tree":"${tree}"}`],
  ['paths of another kind', `{"time":"2026-01-02T03:04:05Z","tree":"${tree}","paths":"/a"}`],
  ['tag of another kind', `{"time":"2026-01-02T03:04:05Z","tree":"${tree}","tags":[1]}`],
  ['uid too large', `{"time":"2026-01-02T03:04:05Z","tree":"${tree}","uid":4294967296}`],
  ['negative count', `{"time":"2026-01-02T03:04:05Z","tree":"${tree}","summary":{"files_new":-1}}`],
  ['a lock', '{"time":"2026-01-02T03:04:05Z","exclusive":false,"hostname":"h","pid":1}'],
  ['an index', '{"packs":[]}'],
  ['a config', `{"version":2,"id":"${tree}","chunker_polynomial":"31a1ec5d60e3c9"}`],
  ['a list', '[]'],
  ['nothing', ''],
])('refuses %s', (_, json) => {
  expect(() => decode(json)).toThrow(damaged);
});

test('refuses every truncation, and every mutation that it does not read', () => {
  for (let length = 0; length < written.length; length++) {
    expect(() => decode(written.slice(0, length))).toThrow(damaged);
  }
  const bytes = utf8(written);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const mutated = bytes.slice();
      mutated[at] = value;
      try {
        encodeSnapshot(decodeSnapshot(mutated));
      } catch (error) {
        expect(error).toEqual(damaged);
      }
    }),
    { numRuns: 2000 },
  );
});

test('what is read as usual is read alike as any other', () => {
  const usual = written.replace(String.raw`*.\u003cx\u003e`, '*.x');
  expect(decodeUsualSnapshot(utf8(usual))).toEqual(decodeAnySnapshot(utf8(usual)));
  expect(decodeUsualSnapshot(utf8(written))).toBeUndefined();
  const pieces = ['"', ',', ':', '1', '1.0', '1e3', '-0', 'null', '[]', '{}', ' ', 'E', '"uid":7,'];
  const unusual = ['"Time":', '"time":', '"__proto__":1,', '18446744073709551615', '\u00e9', '\\'];
  let usualCount = 0;
  fc.assert(
    fc.property(
      fc.nat(usual.length),
      fc.nat(3),
      fc.constantFrom(...pieces, ...unusual),
      (at, length, piece) => {
        const json = utf8(usual.slice(0, at) + piece + usual.slice(at + length));
        const fast = decodeUsualSnapshot(json);
        if (!fast) return;
        usualCount++;
        expect(decodeAnySnapshot(json)).toEqual(fast);
      },
    ),
    { numRuns: 5000 },
  );
  expect(usualCount).toBeGreaterThan(10);
});

test('writes what it reads, for any snapshot', () => {
  const id = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((b) => Buffer.from(b).toString('hex'));
  // Without "empty" values: those are left out, and read as absent.
  const texts = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 });
  const word = fc.string({ unit: 'binary', minLength: 1 }).map((s) => s.toWellFormed());
  const time = fc.record({
    seconds: fc.integer({ min: -62_000_000_000, max: 250_000_000_000 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
    offsetMinutes: fc.integer({ min: -840, max: 840 }),
  });
  const snapshot = fc.record({
    time,
    tree: id,
    paths: fc.array(word),
    parent: optional(id),
    hostname: optional(word),
    username: optional(word),
    uid: optional(fc.integer({ min: 1, max: 0xffffffff })),
    gid: optional(fc.integer({ min: 1, max: 0xffffffff })),
    excludes: optional(texts),
    tags: optional(texts),
    original: optional(id),
    programVersion: optional(word),
  });
  fc.assert(
    fc.property(snapshot, (given) => {
      expect(decodeSnapshot(encodeSnapshot(given))).toEqual(given);
    }),
    { numRuns: 500 },
  );
});
