import { expect, test } from 'vitest';
import fc from 'fast-check';

import { concatBytes } from '../../base/bytes.ts';
import { joinPieces } from './pieces.ts';

test('cuts content into pieces of one size, wherever its parts end', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 });
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 30 }), (content, sizeBytes) => {
      const whole = concatBytes(content);
      const pieces = [...joinPieces(content, sizeBytes)];
      expect(pieces.map(({ offset }) => offset)).toEqual(pieces.map((_, at) => at * sizeBytes));
      expect(concatBytes(pieces.flatMap((piece) => piece.parts))).toEqual(whole);
      for (const piece of pieces.slice(0, -1)) {
        expect(concatBytes(piece.parts)).toHaveLength(sizeBytes);
      }
    }),
    { seed: 1, numRuns: 200 },
  );
});
