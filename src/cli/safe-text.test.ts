import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeText } from './safe-text.ts';

test.each([
  ['/home/anna/Übersicht 漢字.txt', '/home/anna/Übersicht 漢字.txt'],
  ['/a "quoted" \\ name', '/a "quoted" \\ name'],
  ['/esc\u001b[31m', String.raw`"/esc\x1b[31m"`],
  ['/two\nlines', String.raw`"/two\nlines"`],
  ['/right\u202eto left', String.raw`"/right\u202eto left"`],
  ['/c1\u009b31m', String.raw`"/c1\u009b31m"`],
])('%j', (path, shown) => expect(safeText(path)).toBe(shown));

test('bytes that are no UTF-8 are shown as such', () => {
  expect(safeText(Uint8Array.of(0x2f, 0xff, 0x61))).toBe(String.raw`"/\xffa"`);
});

test('nothing that drives a terminal gets through', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      // oxlint-disable-next-line no-control-regex
      expect(safeText(bytes)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    }),
    { numRuns: 500 },
  );
});
