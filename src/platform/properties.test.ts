import * as fc from 'fast-check';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { compareBytes } from '../base/bytes.ts';
import {
  readExtendedAttributesAt,
  removeExtendedAttribute,
  setExtendedAttribute,
  setTimes,
} from './attributes.ts';
import { scanDirectory } from './directory.ts';
import { closeFile, openFile, truncateFile, writeAt } from './files.ts';
import { b, describeSystems, latin } from './fixtures/both-systems.ts';
import { dataRanges } from './holes.ts';
import { readStatusAt } from './status.ts';

/** Any name a Linux file system takes. */
const nameOf = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0xff : byte))))
  .filter((name) => !['.', '..'].includes(latin(name)));

const valueOf = fc.uint8Array({ maxLength: 700 });

describeSystems('properties', (scratch) => {
  it('scans exactly the names that were made, in order', () => {
    fc.assert(
      fc.property(fc.array(nameOf, { maxLength: 30 }), (names) => {
        for (const name of names) writeFileSync(scratch.bytesAt(name), name);
        const made = [...new Set(names.map(latin))];
        const expected = made.map((name) => Buffer.from(name, 'latin1')).sort(compareBytes);
        const entries = scanDirectory(scratch.directory);
        expect(entries.map((entry) => latin(entry.name))).toEqual(expected.map(latin));
        for (const { name, status } of entries)
          expect(status).toMatchObject({ sizeBytes: name.length });
        for (const name of readdirSync(b(scratch.path), { encoding: 'buffer' })) {
          rmSync(scratch.bytesAt(name));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('finds all data of a sparse file', () => {
    const island = fc.record({
      at: fc.integer({ min: 0, max: 200 }).map((page) => page * 4096 + 17),
      sizeBytes: fc.integer({ min: 1, max: 9000 }),
    });
    fc.assert(
      fc.property(fc.array(island, { maxLength: 6 }), (islands) => {
        const file = openFile(scratch.bytesAt('f'), { write: true, create: true, truncate: true });
        const size = 1 << 20;
        truncateFile(file, size);
        for (const { at, sizeBytes } of islands) writeAt(file, Buffer.alloc(sizeBytes, 1), at);
        const rebuilt = Buffer.alloc(size);
        const content = readFileSync(scratch.at('f'));
        let last = 0;
        for (const { start, end } of dataRanges(file, size)) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThan(start);
          last = end;
          content.copy(rebuilt, start, start, end);
        }
        closeFile(file);
        expect(last).toBeLessThanOrEqual(size);
        expect(rebuilt.equals(content)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('gives back every attribute and time it set', () => {
    if (scratch.isPortable) return;
    writeFileSync(scratch.at('f'), '');
    const place = { directory: scratch.directory, name: b('f') };
    const time = fc.record({
      seconds: fc.integer({ min: -2_147_483_000, max: 15_032_385_000 }),
      nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
    });
    const attributes = fc.dictionary(fc.stringMatching(/^[a-z\u00e4.]{1,30}$/), valueOf, {
      maxKeys: 6,
    });
    fc.assert(
      fc.property(attributes, time, time, (wanted, mtime, atime) => {
        for (const [name, value] of Object.entries(wanted)) {
          setExtendedAttribute(place, { name: b(`user.${name}`), value });
        }
        setTimes(place, { mtime, atime });
        const read = readExtendedAttributesAt(scratch.directory, b('f'));
        const found = read.map(({ name, value }) => [Buffer.from(name).toString(), [...value]]);
        const expected = Object.entries(wanted).map(([name, value]) => [
          `user.${name}`,
          [...value],
        ]);
        expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
        expect(readStatusAt(scratch.directory, b('f'))).toMatchObject({ mtime, atime });
        for (const { name } of read) removeExtendedAttribute(place, name);
      }),
      { numRuns: 60 },
    );
  });
});
