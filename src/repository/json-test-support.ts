import * as fc from 'fast-check';

const special = ['"', '\\', '<', '&', '\u2028', '\u2029', '\ufffd', '\ufeff', '\n', '\0', '\u007f'];

/** Text of any code points without lone surrogates, with the awkward ones often. Quicker than fast-check's own. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...special),
      fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCodePoint(code)),
      fc.integer({ min: 0x100, max: 0xd7ff }).map((code) => String.fromCodePoint(code)),
      fc.integer({ min: 0xe000, max: 0x10ffff }).map((code) => String.fromCodePoint(code)),
    ),
    { maxLength: 24 },
  )
  .map((list) => list.join(''));

/** JSON text of any value. */
export const anyJson: fc.Arbitrary<string> = fc
  .letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(anyText, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()),
      fc.constantFrom(null, true, false, 0, 1e300, -1e-300),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(anyText, tie('value'), { maxKeys: 4 }),
    ),
  }))
  .value.map((value) => JSON.stringify(value));
