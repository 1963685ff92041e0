import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { concatBytes, equalBytes, toHex, utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import { Sealer } from '../kernels/seal.ts';
import { Compressor } from '../kernels/zstd.ts';
import { visitZstdFrames } from '../kernels/zstd-frames.ts';
import type { GetOptions } from '../storage/backend.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { hashOf } from './index-test-support.ts';
import {
  confirmStored,
  getVerified,
  frameSizeBytes,
  openDocument,
  putContent,
  sealDocument,
  type UnpackedTools,
} from './unpacked.ts';

const sealer = new Sealer(
  {
    encrypt: new Uint8Array(32).fill(1),
    macK: new Uint8Array(16).fill(2),
    macR: new Uint8Array(16).fill(255),
  },
  systemRandom,
);
const compressor = new Compressor('auto');
const tools = (version: 1 | 2): UnpackedTools => ({
  version,
  sealer,
  compressor: () => compressor,
});
const code = (code: string) => expect.objectContaining({ code });
const sealed = (...parts: Uint8Array[]) => sealer.seal(concatBytes(parts));
const open = (...parts: Uint8Array[]) => openDocument(tools(2), 'index', sealed(...parts));
const mark = Uint8Array.of(2);
const json = utf8(`{"packs":[${'"some text",'.repeat(500)}1]}\n`);

/** Larger than one frame. */
function largeJson(): Uint8Array {
  return utf8(`["${'some text'.repeat((17 << 20) / 9)}"]`);
}

describe('documents', () => {
  test.each([1, 2] as const)('round trip in version %s', (version) => {
    const { id, sealed } = sealDocument(tools(version), 'index', json);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(openDocument(tools(version), 'index', sealed)).toEqual(json);
    const isCompressed = sealed.length < json.length;
    expect(isCompressed).toBe(version === 2);
  });

  test('version 2 also reads plain JSON, empty documents and every kind of frame', () => {
    expect(open(utf8('[1]'))).toEqual(utf8('[1]'));
    expect(open(utf8('{}'))).toEqual(utf8('{}'));
    expect(open()).toEqual(new Uint8Array());
    expect(open(mark, zstdCompressSync(utf8('{"a":1}')))).toEqual(utf8('{"a":1}'));
    const twoFrames = [zstdCompressSync(utf8('{"a":')), zstdCompressSync(utf8('1}'))];
    expect(open(mark, ...twoFrames)).toEqual(utf8('{"a":1}'));
  });

  test.each([
    [1, 'a compressed document', [mark, zstdCompressSync(json)], 'UNPACKED_DAMAGED'],
    [1, 'another beginning', [utf8('x')], 'UNPACKED_DAMAGED'],
    [2, 'another beginning', [Uint8Array.of(1)], 'UNPACKED_DAMAGED'],
    [2, 'half a frame', [mark, zstdCompressSync(json).subarray(0, 20)], 'COMPRESSION_BROKEN'],
    [2, 'no frame', [mark], 'COMPRESSION_BROKEN'],
    [2, 'other bytes', [mark, utf8('hello world')], 'COMPRESSION_BROKEN'],
  ] as const)('version %s refuses %s', (version, _, parts, expected) => {
    expect(() => openDocument(tools(version), 'index', sealed(...parts))).toThrow(code(expected));
  });

  test('refuses a document that grows above the limit of its type', () => {
    const bomb = zstdCompressSync(new Uint8Array(2 * 1024 * 1024).fill(0x20));
    expect(bomb.length).toBeLessThan(1000);
    expect(() => openDocument(tools(2), 'lock', sealed(mark, bomb))).toThrow(
      code('COMPRESSION_BROKEN'),
    );
    expect(openDocument(tools(2), 'snapshot', sealed(mark, bomb))).toHaveLength(2 * 1024 * 1024);
  });

  test('refuses every changed bit and every truncation', () => {
    const { sealed } = sealDocument(tools(2), 'lock', utf8('{"time":1}'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const damaged = sealed.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => openDocument(tools(2), 'lock', damaged)).toThrow(code('SEAL_BROKEN'));
    }
    for (let length = 0; length < sealed.length; length++) {
      const damaged = sealed.subarray(0, length);
      expect(() => openDocument(tools(2), 'lock', damaged)).toThrow(code('SEAL_BROKEN'));
    }
  });

  test('any JSON comes back, in both versions', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(1 as const, 2 as const), (value, version) => {
        const document = utf8(JSON.stringify({ value }));
        const { sealed } = sealDocument(tools(version), 'index', document);
        expect(openDocument(tools(version), 'index', sealed)).toEqual(document);
      }),
      { numRuns: 200 },
    );
  });

  test('a compressor that writes rubbish is found out before anything is stored', () => {
    class Broken extends Compressor {
      override compress(source: Uint8Array, target: Uint8Array): number {
        const sizeBytes = super.compress(
          source.map((byte) => byte ^ 1),
          target,
        );
        return sizeBytes;
      }
    }
    class Short extends Compressor {
      override compress(source: Uint8Array, target: Uint8Array): number {
        return super.compress(source, target) - 1;
      }
    }
    for (const broken of [new Broken('auto'), new Short('auto')]) {
      const brokenTools = { ...tools(2), compressor: () => broken };
      for (const document of [json, largeJson()]) {
        expect(() => sealDocument(brokenTools, 'index', document)).toThrow(code('VERIFY_FAILED'));
      }
    }
  });

  test('a document of pieces is sealed in a frame for each, and every one is proven', () => {
    const texts = ['{"packs":[', 'x'.repeat(frameSizeBytes), 'yz'.repeat(70_000), ']}'];
    const document = utf8(texts.join(''));
    const room = new Uint8Array(frameSizeBytes);
    function* pieces() {
      for (const text of texts) {
        room.set(utf8(text));
        yield room.subarray(0, text.length);
      }
    }
    const { id, sealed } = sealDocument(tools(2), 'index', {
      sizeBytesMax: document.length,
      pieces,
    });
    expect(id).toBe(toHex(hashOf(sealed)));
    expect(equalBytes(openDocument(tools(2), 'index', sealed), document)).toBe(true);
    const plain = sealDocument(tools(1), 'index', { sizeBytesMax: document.length, pieces });
    expect(equalBytes(openDocument(tools(1), 'index', plain.sealed), document)).toBe(true);
    // What is compared is made anew: one that changes meanwhile, ends early or goes on, is not stored.
    for (const later of [texts.toSpliced(2, 1, 'other'), texts.slice(0, 3), [...texts, ' ']]) {
      let count = 0;
      const changing = (): Uint8Array[] => (count++ === 0 ? texts : later).map(utf8);
      const sizeBytesMax = document.length;
      expect(() => sealDocument(tools(2), 'index', { sizeBytesMax, pieces: changing })).toThrow(
        code('VERIFY_FAILED'),
      );
    }
  });

  test('a large document is sealed in several frames, each of which is proven', () => {
    const document = largeJson();
    const { sealed } = sealDocument(tools(2), 'index', document);
    const opened = sealer.open(sealed);
    let count = 0;
    visitZstdFrames(opened.subarray(1), () => count++);
    expect(count).toBe(9);
    expect(equalBytes(openDocument(tools(2), 'index', sealed), document)).toBe(true);
    expect(equalBytes(zstdDecompressSync(opened.subarray(1)), document)).toBe(true);
    class Forgetful extends Compressor {
      #calls = 0;
      override compress(source: Uint8Array, target: Uint8Array): number {
        return this.#calls++ === 8 ? 0 : super.compress(source, target);
      }
    }
    const forgetful = new Forgetful('auto');
    const forgetfulTools = { ...tools(2), compressor: () => forgetful };
    expect(() => sealDocument(forgetfulTools, 'index', document)).toThrow(code('VERIFY_FAILED'));
  });
});

async function storeOne() {
  const backend = new MemoryBackend();
  const { id, sealed } = sealDocument(tools(2), 'index', json);
  const handle = { type: 'index', name: id } as const;
  await putContent(backend, handle, sealed);
  return { backend, handle, sealed };
}

describe('content-addressed files', () => {
  test('are read three times before they count as damaged', async () => {
    const { backend, handle, sealed } = await storeOne();
    const get = backend.get.bind(backend);
    const calls: (GetOptions | undefined)[] = [];
    let damagedReads = 2;
    backend.get = async (handle, range, options) => {
      calls.push(options);
      const bytes = await get(handle, range, options);
      if (damagedReads-- > 0) bytes.reverse();
      return bytes;
    };
    expect(await getVerified(backend, handle)).toEqual(sealed);
    expect(calls).toEqual([{ fresh: false }, { fresh: true }, { fresh: true }]);
    damagedReads = 3;
    await expect(getVerified(backend, handle)).rejects.toMatchObject({
      code: 'UNPACKED_DAMAGED',
      details: { type: 'index', id: handle.name },
    });
  });

  test('that are there already are read three times before they count as others', async () => {
    const { backend, handle, sealed } = await storeOne();
    const get = backend.get.bind(backend);
    let damagedReads = 2;
    backend.get = async (...call) => {
      const bytes = await get(...call);
      return damagedReads-- > 0 ? bytes.toReversed() : bytes;
    };
    await putContent(backend, handle, sealed);
    damagedReads = 3;
    await expect(putContent(backend, handle, sealed)).rejects.toThrow(code('FILE_EXISTS'));
  });

  test('that are missing are missing, not damaged', async () => {
    const { backend, handle } = await storeOne();
    await backend.remove(handle);
    await expect(getVerified(backend, handle)).rejects.toThrow(code('FILE_NOT_FOUND'));
  });

  test('that are stored already, by a put whose answer was lost, are stored', async () => {
    const { backend, handle, sealed } = await storeOne();
    await putContent(backend, handle, sealed);
    await expect(putContent(backend, handle, sealed.subarray(1))).rejects.toThrow(
      code('FILE_EXISTS'),
    );
    backend.put = () => Promise.reject(new HoldfastError('STORAGE_FULL'));
    await expect(putContent(backend, handle, sealed)).rejects.toThrow(code('STORAGE_FULL'));
  });

  test('that are there for the put, and gone when they are looked at, are stored again', async () => {
    const { backend, handle, sealed } = await storeOne();
    const get = backend.get.bind(backend);
    backend.get = async (...call) => {
      backend.get = get;
      await backend.remove(handle);
      return get(...call);
    };
    await putContent(backend, handle, sealed);
    expect(await backend.get(handle)).toEqual(sealed);
  });

  test('are confirmed by the storage, and a part of one is removed again', async () => {
    const { backend, handle, sealed } = await storeOne();
    await confirmStored(backend, { ...handle, sizeBytes: sealed.byteLength });
    await expect(confirmStored(backend, { ...handle, sizeBytes: 1 })).rejects.toThrow(
      code('BACKEND_WRITE_FAILED'),
    );
    await expect(backend.stat(handle)).rejects.toThrow(code('FILE_NOT_FOUND'));
    await expect(
      confirmStored(backend, { ...handle, sizeBytes: sealed.byteLength }),
    ).rejects.toThrow('the storage reported an index file stored, but does not have it');
    backend.stat = () => Promise.reject(new HoldfastError('BACKEND_UNAVAILABLE'));
    await expect(confirmStored(backend, { ...handle, sizeBytes: 1 })).rejects.toThrow(
      code('BACKEND_UNAVAILABLE'),
    );
  });
});
