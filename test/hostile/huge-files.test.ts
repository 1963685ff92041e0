import { chmodSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { backUp, initRepository } from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { holdfast } from './bed.ts';

/** Hazards D1 and D8: as a hole, a file of a terabyte costs whoever can write to the storage nothing. */

const scratch = scratchFolder('huge-files');
const name = 'ab'.repeat(32);
const sizeBytes = 2 ** 40;

async function madeRepository(): Promise<string> {
  const location = scratch.fresh('repository');
  const source = scratch.fresh('source');
  mkdirSync(source);
  writeFileSync(path.join(source, 'a'), 'content');
  await initRepository(location);
  await backUp(location, [source]);
  return location;
}

describe('a file of a terabyte', () => {
  test.each(['snapshots', 'index', 'locks', 'keys'])(
    'in %s is named by check, not read',
    async (folder) => {
      const location = await madeRepository();
      const place = path.join(location, folder, name);
      writeFileSync(place, '');
      truncateSync(place, sizeBytes);
      // A lock that cannot be read holds others up until somebody removes it.
      const { exitCode, errors, output } = await holdfast(
        location,
        ['check', '--no-lock'],
        scratch,
      );
      expect(errors).not.toContain('defect');
      if (folder === 'locks') return;
      expect(exitCode).toBe(1);
      expect(errors + output).toContain(name);
      const listed = await holdfast(location, ['snapshots', '--no-lock'], scratch);
      expect(listed.output).toContain('1 snapshots');
    },
  );

  test('in the place of the config is told', async () => {
    const location = await madeRepository();
    chmodSync(path.join(location, 'config'), 0o600);
    truncateSync(path.join(location, 'config'), sizeBytes);
    const { exitCode, errors } = await holdfast(location, ['snapshots'], scratch);
    expect([exitCode, errors.includes('larger than any of its type')]).toEqual([1, true]);
  });

  test('in the place of a pack is not read whole by check --read-data', async () => {
    const location = await madeRepository();
    const packs = readdirSync(path.join(location, 'data'), { recursive: true, encoding: 'utf8' });
    const pack = packs.find((file) => file.length > 64) ?? '';
    chmodSync(path.join(location, 'data', pack), 0o600);
    truncateSync(path.join(location, 'data', pack), sizeBytes);
    const { exitCode, errors } = await holdfast(location, ['check', '--read-data'], scratch);
    expect(exitCode).toBe(1);
    expect(errors).toContain(`pack ${path.basename(pack)}`);
    expect(errors).not.toContain('defect');
  });
});
