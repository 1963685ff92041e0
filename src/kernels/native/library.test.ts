import { describe, expect, it } from 'vitest';
import { bindNative, pointerFrom } from './library.ts';

const copy = bindNative((program) =>
  program.func('memmove', 'void *', ['void *', 'void *', 'size_t']),
);

describe('bindNative', () => {
  it('gives nothing if a symbol is missing', () => {
    expect(bindNative((program) => program.func('no_such_symbol', 'void', []))).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('finds koffi and the C library on Linux', () => {
    expect(copy).toBeDefined();
  });

  it.runIf(copy)('passes the address of a view, wherever its memory is', () => {
    const buffers = [new ArrayBuffer(64), new SharedArrayBuffer(64), Buffer.alloc(64).buffer];
    for (const from of buffers) {
      for (const to of buffers) {
        const source = new Uint8Array(from, 8, 4).fill(7);
        const target = new Uint8Array(to, 40, 4).fill(0);
        copy?.(target, source, 4);
        expect(new Uint8Array(to, 36, 12)).toEqual(
          new Uint8Array([0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0]),
        );
        target.fill(0);
      }
    }
  });

  it.runIf(copy)('passes the address of arrays so small that they live on the heap', () => {
    const target = new Uint8Array(3);
    copy?.(target, new Uint8Array([1, 2, 3]), 3);
    expect(target).toEqual(new Uint8Array([1, 2, 3]));
  });
});

describe('pointerFrom', () => {
  it('refuses null in every form', () => {
    for (const nothing of [null, 0, 0n]) {
      expect(() => pointerFrom(nothing, 'a thing')).toThrow('a thing is allocated');
    }
    expect(pointerFrom(5n, 'a thing')).toBe(5n);
  });
});
