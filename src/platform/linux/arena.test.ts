import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Arena,
  arenaAt,
  createArena,
  placeText,
  putSigned,
  signedAt,
  unsignedAt,
} from './arena.ts';
import { type Libc, loadLibc } from './libc.ts';
import { decodeStatus } from './status.ts';

const libc: Libc | undefined = loadLibc(false);

describe.skipIf(libc === undefined)('arena', () => {
  const arena: Arena = libc ? createArena(libc) : emptyArena();
  const view = new DataView(arena.bytes.buffer);
  const word = arenaAt.record / 4;

  it('reads and writes 64-bit integers as a DataView does', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }), (value) => {
        putSigned(arena, word, Number(value));
        expect(view.getBigInt64(arenaAt.record, true)).toBe(value);
        expect(signedAt(arena, word)).toBe(Number(value));
      }),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        view.setBigUint64(arenaAt.record, value, true);
        const read = unsignedAt(arena, word);
        expect(BigInt(read)).toBe(value);
        expect(typeof read).toBe(value < 2n ** 53n ? 'number' : 'bigint');
      }),
    );
  });

  it('places C strings, and refuses what would be cut', () => {
    const address = placeText(arena, arenaAt.path, Buffer.from('a\xffb', 'latin1'));
    expect(address - arena.base).toBe(arenaAt.path);
    expect([...arena.bytes.subarray(arenaAt.path, arenaAt.path + 4)]).toEqual([
      0x61, 0xff, 0x62, 0,
    ]);
    for (const text of [Buffer.from('a\0b'), Buffer.alloc(1 << 16, 0x61)]) {
      expect(() => placeText(arena, arenaAt.path, text)).toThrow(
        expect.objectContaining({ code: 'SYSTEM_CALL_FAILED' }),
      );
    }
  });

  it('decodes inodes, sizes and times at their limits', () => {
    arena.bytes.fill(0, arenaAt.status, arenaAt.status + 256);
    const at = arenaAt.status;
    view.setUint16(at + 28, 0o104755, true);
    view.setBigUint64(at + 32, 2n ** 64n - 1n, true);
    view.setBigUint64(at + 40, 2n ** 53n - 1n, true);
    view.setBigInt64(at + 112, -(2n ** 40n), true);
    view.setUint32(at + 120, 999_999_999, true);
    expect(decodeStatus(arena)).toMatchObject({
      kind: 'file',
      mode: 0o4755,
      inode: 2n ** 64n - 1n,
      sizeBytes: 2 ** 53 - 1,
      mtime: { seconds: -(2 ** 40), nanoseconds: 999_999_999 },
    });
    // A size that no number holds is no status; of a directory it means nothing.
    view.setBigUint64(at + 40, 2n ** 53n, true);
    expect(decodeStatus(arena)).toBeUndefined();
    view.setUint16(at + 28, 0o040755, true);
    expect(decodeStatus(arena)?.kind).toBe('directory');
    view.setUint16(at + 28, 0o030000, true);
    expect(decodeStatus(arena)?.kind).toBe('unknown');
  });
});

function emptyArena(): Arena {
  const buffer = new ArrayBuffer(1 << 20);
  return {
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    signedWords: new Int32Array(buffer),
    base: 8,
  };
}
