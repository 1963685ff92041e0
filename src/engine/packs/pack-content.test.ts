import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { scratchFolder } from '../../../test/tools/scratch.ts';
import { pseudoRandom } from '../../../test/tools/seeds.ts';
import { concatBytes } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { type PackContent, PackContents } from './pack-content.ts';

const scratch = scratchFolder('pack-content');
const sizeBytes = 3_000_000;
const content = pseudoRandom(sizeBytes, 1);

/** A file with `content`. */
function file(name: string): string {
  const path = scratch.fresh(name);
  writeFileSync(path, content);
  return path;
}

/** The same bytes as a file and as given. */
function bothKinds(name: string): readonly PackContent[] {
  return [
    { kind: 'file', path: file(name) },
    { kind: 'bytes', bytes: content.slice(), start: 0 },
  ];
}

test('gives every range that is asked for, forwards and back, and tells all bytes once in order', () => {
  const contents = new PackContents();
  const ranges = [
    [0, 10],
    [10, 300_000],
    [299_999, 300_000],
    [1_000_000, 2_800_000],
    [5, 700_000],
    [2_800_000, 2_800_000],
    [sizeBytes - 4, sizeBytes],
    [sizeBytes, sizeBytes],
  ] as const;
  for (const kind of bothKinds('ranges')) {
    const read: Uint8Array[] = [];
    const given = contents.with(
      kind,
      (bytes) => ranges.map(([start, end]) => sha256(bytes.at(start, end) ?? content)),
      (bytes) => void read.push(bytes.slice()),
    );
    // Digests: comparing megabytes number by number takes minutes.
    const expected = ranges.map(([start, end]) => sha256(content.subarray(start, end)));
    expect(given).toEqual(expected);
    expect(sha256(concatBytes(read))).toEqual(sha256(content));
  }
});

test('counts offsets from the start of the pack also where only a range of it is there', () => {
  const range = { start: 1000, end: 500_000 };
  const kinds: readonly PackContent[] = [
    { kind: 'file', path: file('range'), range },
    { kind: 'bytes', bytes: content.slice(range.start, range.end), start: range.start },
  ];
  for (const kind of kinds) {
    const given = new PackContents().with(kind, (bytes) => [
      bytes.at(1000, 1010)?.slice(),
      bytes.at(499_990, 500_000)?.slice(),
      bytes.at(499_990, 500_001),
      bytes.at(500_001, 500_001),
    ]);
    const expected = [content.slice(1000, 1010), content.slice(499_990, 500_000)];
    expect(given).toEqual([...expected, undefined, undefined]);
  }
});

test('gives nothing of what is no readable file of that size', () => {
  const contents = new PackContents();
  const path = file('short');
  const folder = scratch.fresh('odd');
  mkdirSync(join(folder, 'folder'), { recursive: true });
  symlinkSync(path, join(folder, 'link'));
  const odd: readonly PackContent[] = [
    { kind: 'file', path: join(folder, 'missing') },
    { kind: 'file', path: join(folder, 'folder') },
    { kind: 'file', path: join(folder, 'link') },
    { kind: 'file', path, range: { start: 0, end: sizeBytes + 1 } },
  ];
  for (const each of odd) expect(contents.with(each, () => 'used')).toBeUndefined();
});

test('gives nothing more of a file that becomes shorter meanwhile, and goes on with the next', () => {
  const contents = new PackContents();
  const path = file('shrinking');
  const given = contents.with({ kind: 'file', path }, (bytes) => {
    const before = bytes.at(0, 100)?.slice();
    truncateSync(path, 2_000_000);
    return [
      before,
      bytes.at(2_500_000, 2_500_001),
      bytes.at(0, 100),
      bytes.at(bytes.end, bytes.end),
    ];
  });
  expect(given).toEqual([content.slice(0, 100), undefined, undefined, undefined]);
  const next = contents.with({ kind: 'file', path: file('next') }, (bytes) =>
    bytes.at(7, 9)?.slice(),
  );
  expect(next).toEqual(content.slice(7, 9));
});
