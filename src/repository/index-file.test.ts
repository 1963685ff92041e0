import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { equalBytes, utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { BlobIndex } from './blob-index.ts';
import { DecodedIndex } from './index-decoded.ts';
import {
  decodeIndex,
  decodeIndexInto,
  encodeIndex,
  encodeIndexPieces,
  indexSizeBytesMax,
} from './index-file.ts';
import { dumpIndex, idOf, madeUpPacks } from './index-test-support.ts';
import { PackedBlobs } from './pack.ts';

const hex = (digit: string): string => digit.repeat(64);
const damaged: unknown = expect.objectContaining({ code: 'INDEX_DAMAGED' });

/** What a document decodes to. */
function decodeText(text: string, version: 1 | 2 = 2): string[] {
  const index = BlobIndex.create();
  decodeIndexInto(utf8(text), index, { version });
  return dumpIndex(index);
}

function short(id: Uint8Array): string {
  return Buffer.from(id).toString('hex').slice(0, 4);
}

/** What a document decodes to, or that it does not. */
function outcome(text: string): unknown {
  try {
    return decodeText(text);
  } catch (error) {
    expect(error).toEqual(damaged);
    return 'damaged';
  }
}

/** A document with one pack of one blob that has these fields. */
function withBlob(fields: string): string {
  return `{"packs":[{"id":"${hex('a')}","blobs":[{${fields}}]}]}`;
}

const usual = `"id":"${hex('b')}","type":"data","offset":1,"length":42,"uncompressed_length":7`;

describe('index file', () => {
  it('is written byte for byte as restic writes it', () => {
    const blobs = PackedBlobs.from([
      { type: 'data', id: idOf(1), offset: 0, length: 42, uncompressedLength: 1 },
      { type: 'tree', id: idOf(2), offset: 42, length: 4_294_967_295, uncompressedLength: 0 },
    ]);
    const packs = [
      { id: idOf('p'), blobs },
      { id: idOf('q'), blobs: PackedBlobs.from([]) },
    ];
    expect(Buffer.from(encodeIndex(packs)).toString()).toMatchInlineSnapshot(`
      "{"packs":[{"id":"771c196183b12b235f27f88fdf1fb43100ba38cc98f1c62d1c1a964b663bc87d","blobs":[{"id":"cd3d4eb485fd695f47e562af6c692c121544eef24d6af74009281479e5607ca1","type":"data","offset":0,"length":42,"uncompressed_length":1},{"id":"cb4aec889ac858d52812a44cc47d1c108567b04710b514118dd2c827dd19807f","type":"tree","offset":42,"length":4294967295}]},{"id":"c6aaf41d58af3bcc00ec53d2123fee4216baff8b370beb1af2474eedc1717089","blobs":[]}]}
      "
    `);
    expect(Buffer.from(encodeIndex([])).toString()).toBe('{"packs":[]}\n');
  });

  it('is the same in pieces', () => {
    const packs = [...madeUpPacks(0, 30, 25), ...madeUpPacks(30, 2, 5000)];
    const time = { seconds: 1_735_689_600, nanoseconds: 5 };
    const marks = madeUpPacks(40, 3, 2500).map(({ id, blobs }) => ({
      id: Buffer.from(id).toString('hex'),
      time,
      sizeBytes: 4_294_967_295,
      blobs,
    }));
    for (const contents of [{ packs: [] }, { packs }, { packs: [], marks }, { packs, marks }]) {
      const whole = encodeIndex(contents.packs, contents.marks);
      expect(whole.length).toBeLessThanOrEqual(indexSizeBytesMax(contents));
      for (const sizeBytes of [200_000, 500_000, 2 << 20]) {
        const pieces = Array.from(encodeIndexPieces(contents, sizeBytes), (piece) => piece.slice());
        expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(sizeBytes);
        expect(equalBytes(Buffer.concat(pieces), whole)).toBe(true);
      }
    }
  });

  it('comes back as it was', () => {
    const packs = madeUpPacks(0, 30, 25);
    const index = BlobIndex.create();
    const counts = decodeIndexInto(encodeIndex(packs), index);
    expect(counts).toEqual({ packCount: 30, blobCount: 750, hasMarks: false });
    let entry = 0;
    for (const pack of packs) {
      for (const blob of pack.blobs.iterate()) {
        expect(index.find(blob.type, blob.id)).toBe(entry);
        expect(index.packId(index.packOf(entry))).toEqual(pack.id);
        expect(index.offsetOf(entry)).toBe(blob.offset);
        expect(index.lengthOf(entry)).toBe(blob.length);
        expect(index.uncompressedLengthOf(entry)).toBe(blob.uncompressedLength);
        entry++;
      }
    }
  });

  it('means the same however it is laid out', () => {
    const packs = madeUpPacks(5, 4, 6);
    const expected = BlobIndex.create();
    decodeIndexInto(encodeIndex(packs), expected);
    const document: unknown = JSON.parse(Buffer.from(encodeIndex(packs)).toString());
    const plain = JSON.stringify(document);
    const variants = [
      JSON.stringify(document, null, 2),
      plain.replaceAll(':', ' :\t').replaceAll(',', '\r\n,'),
      plain.replaceAll('"offset"', '"Offset"').replaceAll('"packs"', '"PACKS"'),
      plain.replaceAll('"uncompressed_length"', '"Uncompre\u017f\u017fed_Length"'),
      plain.replaceAll('"type"', '"t\\u0079pe"').replaceAll('"tree"', '"\\u0074ree"'),
      plain.replaceAll('"length"', '"other":[1,{"x":null}],"length"'),
      plain.replaceAll('"offset":', '"offset":9,"offset":'),
      plain.replaceAll(/"id":"([0-9a-f]{64})"/g, (_, id: string) => `"id":"${id.toUpperCase()}"`),
      plain.replace('{', '{"supersedes":["x"],"packs_to_delete":[{"id":5}],'),
      plain.replace('{', '{"packs":[{"id":"' + hex('f') + '","blobs":[]}],'),
      plain.replaceAll('"blobs":', '"blobs":null,"size":5,"time":"x","blobs":'),
    ];
    for (const text of variants) {
      expect(text).not.toBe(plain);
      expect(decodeText(text)).toEqual(dumpIndex(expected));
    }
  });

  it('may list nothing', () => {
    // That would be a snapshot or a lock in its place.
    expect(outcome('{}')).toBe('damaged');
    expect(decodeText('{"packs":null}')).toEqual([]);
    expect(decodeText('{"packs":[]}\n')).toEqual([]);
    expect(decodeText(`{"packs":[{"id":"${hex('a')}","blobs":null}]}`)).toEqual([]);
  });

  it.each([
    ['a negative offset', usual.replace('"offset":1', '"offset":-1')],
    ['a fraction', usual.replace('"offset":1', '"offset":1.0')],
    ['an exponent', usual.replace('"offset":1', '"offset":1e1')],
    ['2^32', usual.replace('"offset":1', '"offset":4294967296')],
    ['2^53 + 1', usual.replace('"offset":1', '"offset":9007199254740993')],
    ['a number of 400 digits', usual.replace('"offset":1', `"offset":${'9'.repeat(400)}`)],
    ['a leading zero', usual.replace('"offset":1', '"offset":01')],
    ['a text for a number', usual.replace('"offset":1', '"offset":"1"')],
    ['an end beyond 4 GiB', usual.replace('"offset":1', '"offset":4294967295')],
    ['a length below 32', usual.replace('"length":42', '"length":31')],
    ['a plain length of 2^32', usual.replace(':7', ':4294967296')],
    ['a negative plain length', usual.replace(':7', ':-7')],
    ['no length', usual.replace('"length":42,', '')],
    ['no id', usual.replace('"id"', '"ib"')],
    ['a short id', usual.replace('bb', 'b')],
    ['an id that is not hex', usual.replace('bb', 'bg')],
    ['an id that is null', usual.replace(`"${hex('b')}"`, 'null')],
    ['no type', usual.replace('"type"', '"tipe"')],
    ['another type', usual.replace('"data"', '"date"')],
    ['a control character', usual.replace('data', 'da\u0001a')],
  ])('with %s in a blob is damaged, also in the middle of a list', (_, fields) => {
    expect(decodeText(withBlob(usual))).toHaveLength(1);
    expect(() => decodeText(withBlob(fields))).toThrow(damaged);
    const many = `${usual}},{${fields}},{${usual}`;
    expect(() => decodeText(withBlob(many))).toThrow(damaged);
  });

  it.each([
    '',
    ' ',
    'null',
    '[]',
    '"packs"',
    '{"packs":{}}',
    '{"packs":[null]}',
    '{"packs":[{}]}',
    '{"packs":[{"id":"abc","blobs":[]}]}',
    `{"packs":[{"id":"${hex('a')}","blobs":{}}]}`,
    `{"packs":[{"id":"${hex('a')}","blobs":[5]}]}`,
    '{"packs":[]}x',
    '{"packs":[]}{"packs":[]}',
    `{"x":${'['.repeat(100_000)}`,
    withBlob(usual).slice(0, -1),
    withBlob(usual).slice(0, 150),
  ])('%j is damaged', (text) => {
    expect(() => decodeText(text)).toThrow(damaged);
  });

  it('gives nothing of a damaged file', () => {
    const index = BlobIndex.create();
    const text = Buffer.from(encodeIndex(madeUpPacks(0, 10, 10))).toString();
    expect(() => decodeIndexInto(utf8(text.slice(0, -3)), index)).toThrow(damaged);
    expect(index.blobCount).toBe(0);
    expect(index.packCount).toBe(0);
  });

  it('has no compressed blobs in version 1', () => {
    expect(() => decodeText(withBlob(usual), 1)).toThrow(/version 1/);
    expect(decodeText(withBlob(usual.replace(':7', ':0')), 1)).toHaveLength(1);
  });

  it('tells of packs that come again', () => {
    const index = BlobIndex.create();
    const packs = madeUpPacks(0, 3, 5);
    const first = packs.at(0)!;
    const second = packs.at(1)!;
    const again: string[] = [];
    const onPackAgain = (id: Uint8Array, listing: string): void => {
      again.push(`${short(id)} ${listing}`);
    };
    decodeIndexInto(encodeIndex(packs), index, { onPackAgain });
    expect(again).toEqual([]);
    const changed = { id: second.id, blobs: madeUpPacks(9, 1, 4).at(0)!.blobs };
    decodeIndexInto(encodeIndex([first, changed]), index, { onPackAgain });
    expect(again).toEqual([`${short(first.id)} repeated`, `${short(second.id)} conflicting`]);
    expect(index.blobCount).toBe(19);
    expect(index.packCount).toBe(3);
  });

  it('gives INDEX_DAMAGED or fewer blobs, never anything else, for mutated documents', () => {
    const document = encodeIndex(madeUpPacks(0, 3, 8));
    const scratch = new DecodedIndex();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(document.length - 1), fc.nat(255)), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(document.length),
        (changes, end) => {
          const bytes = document.slice();
          for (const [at, value] of changes) bytes[at] = value;
          for (const mutated of [bytes, bytes.subarray(0, end)]) {
            scratch.clear();
            try {
              decodeIndex(mutated, scratch);
              expect(scratch.blobCount).toBeLessThanOrEqual(24);
            } catch (error) {
              expect(error).toBeInstanceOf(HoldfastError);
              expect(error).toEqual(damaged);
            }
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is decoded alike by the fast way and the general one', () => {
    const document = Buffer.from(encodeIndex(madeUpPacks(0, 4, 8))).toString();
    const character = fc.constantFrom(...'0123456789abcdef"{}[],:- .eE'.split(''));
    fc.assert(
      fc.property(fc.nat(document.length - 1), character, (at, replacement) => {
        const text = document.slice(0, at) + replacement + document.slice(at + 1);
        // A space behind each opening brace makes every blob unusual.
        expect(outcome(text)).toEqual(outcome(text.replaceAll('{"id', '{ "id')));
      }),
      { numRuns: 400 },
    );
  });
});
