import { expect, test } from 'vitest';
import { SnapshotWays } from './snapshot-ways.ts';

function ways(paths: string[], asked: string[], subfolder?: string): string[] {
  const known = new SnapshotWays({ paths, subfolder });
  return asked.filter((path) => known.isOnlyWay(Buffer.from(path)));
}

test('folders above the paths of a snapshot are only the way to them', () => {
  const asked = ['/home', '/home/anna', '/home/anna/home', '/home/bert', '/etc', '/etc/ssl'];
  expect(ways(['/home/anna', '/etc'], asked)).toEqual(['/home']);
  expect(ways(['/home/anna', '/home'], asked)).toEqual([]);
  expect(ways(['/'], asked)).toEqual([]);
});

test('a folder of a snapshot is judged by its whole path', () => {
  expect(ways(['/srv/www/shop/data'], ['/shop', '/shop/data', '/data'], '/srv/www')).toEqual([
    '/shop',
  ]);
});

test('paths that were given relative stand with their last components', () => {
  expect(ways(['/srv/www/shop'], ['/www', '/www/shop', '/shop'])).toEqual(['/www']);
});
