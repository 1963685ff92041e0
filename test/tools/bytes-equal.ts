import { expect } from 'vitest';

// Before each file of tests: compares bytes at once, which takes 3 s for each MiB where they are looked at one by one.
// As `toEqual` does it, a Buffer equals a Uint8Array of the same bytes.
expect.addEqualityTesters([
  (a, b): boolean | undefined => {
    if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return undefined;
    return Buffer.compare(a, b) === 0;
  },
]);
