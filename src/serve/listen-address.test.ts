import { expect, test } from 'vitest';
import { isNear, parseListenAddress } from './listen-address.ts';

test.each([
  [':8000', { kind: 'port', host: undefined, port: 8000 }, false],
  ['127.0.0.1:0', { kind: 'port', host: '127.0.0.1', port: 0 }, true],
  ['localhost:80', { kind: 'port', host: 'localhost', port: 80 }, true],
  ['backup.example.org:443', { kind: 'port', host: 'backup.example.org', port: 443 }, false],
  ['[::1]:8000', { kind: 'port', host: '::1', port: 8000 }, true],
  ['[::]:8000', { kind: 'port', host: '::', port: 8000 }, false],
  ['unix:/run/backup.sock', { kind: 'socket', path: '/run/backup.sock' }, true],
] as const)('%s', (text, expected, near) => {
  const address = parseListenAddress(text);
  expect(address).toEqual(expected);
  expect(isNear(address)).toBe(near);
});

test.each(['', '8000', ':65536', ':', 'a:b:1', 'unix:', '[::1]', 'http://x:1', '127.0.0.1.evil:x'])(
  'refuses %j',
  (text) => {
    expect(() => parseListenAddress(text)).toThrow('is no address');
  },
);
