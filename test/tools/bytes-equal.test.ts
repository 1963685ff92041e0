import { expect, test } from 'vitest';

const bytes = Uint8Array.of(1, 2, 3);

test('bytes are equal where all of them are, alone and within something', () => {
  expect(bytes).toEqual(Buffer.from([1, 2, 3]));
  expect({ list: [bytes.slice()] }).toEqual({ list: [bytes] });
  expect([{ bytes, more: 1 }]).toMatchObject([{ bytes: bytes.slice() }]);
});

test.each([{ other: [1, 2] }, { other: [1, 2, 4] }, { other: [1, 2, 3, 0] }, { other: [] }])(
  'they are not otherwise: $other',
  ({ other }) => {
    const others = Uint8Array.from(other);
    expect(others).not.toEqual(bytes);
    expect({ list: [others] }).not.toEqual({ list: [bytes] });
    expect(() => expect(others).toEqual(bytes)).toThrow(/deeply equal/);
    expect([...bytes]).not.toEqual(bytes);
  },
);
