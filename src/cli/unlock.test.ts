import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { TestPlace } from './holdfast-test-support.ts';

const place = TestPlace.create();

beforeAll(async () => {
  await (await place.createRepository()).close();
});
afterAll(() => place.remove());

/** Makes a file in the repository that was changed `hours` ago. */
function leave(name: string, hours: number): string {
  const file = path.join(place.repository, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'half of it');
  const seconds = systemClock.wallMs() / 1000 - hours * 3600;
  utimesSync(file, seconds, seconds);
  return file;
}

test('unlock removes what interrupted writes left a day ago, and says so', async () => {
  const id = 'ab'.repeat(32);
  const old = [
    leave(`data/ab/${id}-tmp-17`, 25),
    leave(`snapshots/${id}-restic-temp-${'0'.repeat(32)}`, 1000),
    leave('config-tmp-1', 25),
  ];
  const kept = [leave(`index/${id}-tmp-18`, 23), leave('index/notes-tmp-1', 1000)];
  expect(await place.must(['unlock'])).toBe(
    'removed 3 temporary files of writes that were interrupted\n',
  );
  expect(old.filter(existsSync)).toEqual([]);
  expect(kept.filter(existsSync)).toEqual(kept);
  expect(await place.must(['unlock'])).toBe('');
});
