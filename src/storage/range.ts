import { assert } from '../base/assert.ts';
import type { ByteRange } from './backend.ts';

/** Asserts that `range` is `[start, end)` with whole numbers. */
export function checkRange(range: ByteRange): void {
  assert(Number.isSafeInteger(range.start) && range.start >= 0, 'a range starts at 0 or later');
  assert(
    Number.isSafeInteger(range.end) && range.end >= range.start,
    'a range ends after it starts',
  );
}
