import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { decodeLock, encodeLock, type LockRecord } from './lock-codec.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const damaged = expect.objectContaining({ code: 'LOCK_DAMAGED' });

test('writes and reads a lock as restic does', () => {
  const json =
    '{"time":"2026-01-02T03:04:05.678901234+01:00","exclusive":true,"hostname":"a\\u003cb","username":"anna","pid":17,"uid":1000,"gid":100}';
  const lock = decodeLock(utf8(json));
  expect(lock).toMatchObject({ exclusive: true, hostname: 'a<b', pid: 17, uid: 1000, gid: 100 });
  expect(text(encodeLock(lock))).toBe(json);
});

test('leaves out uid and gid of root', () => {
  const lock: LockRecord = {
    time: { seconds: 0, nanoseconds: 0, offsetMinutes: 0 },
    exclusive: false,
    hostname: '',
    username: '',
    pid: 1,
    uid: 0,
    gid: 0,
  };
  expect(text(encodeLock(lock))).toBe(
    '{"time":"1970-01-01T00:00:00Z","exclusive":false,"hostname":"","username":"","pid":1}',
  );
});

test('adds who it is, after what restic knows', () => {
  const json =
    '{"time":"2026-01-02T03:04:05Z","exclusive":true,"hostname":"a","username":"b","pid":1,"holdfast":{"began":"2026-01-02T01:02:03.5Z","instance":"0123456789abcdef0123456789abcdef","kind":"commit","operation":"prune","machine":"m","boot":"b","space":"pid:[1]","start":"17"}}';
  const lock = decodeLock(utf8(json));
  expect(lock.own).toEqual({
    began: { seconds: 1767315723, nanoseconds: 500_000_000, offsetMinutes: 0 },
    instance: '0123456789abcdef0123456789abcdef',
    kind: 'commit',
    operation: 'prune',
    machine: 'm',
    boot: 'b',
    space: 'pid:[1]',
    start: '17',
  });
  expect(text(encodeLock(lock))).toBe(json);
});

test.each([
  [true, 'shared', 'exclusive'],
  [true, 'commit', 'commit'],
  [true, 'of a later version', 'exclusive'],
  [false, 'commit', 'shared'],
  [false, 'exclusive', 'shared'],
  [false, 'prune', 'prune'],
])('exclusive %s and the kind "%s" is %s', (exclusive, kind, expected) => {
  const json = `{"time":"2026-01-02T03:04:05Z","exclusive":${exclusive},"holdfast":{"began":"2026-01-02T03:04:05Z","kind":"${kind}"}}`;
  expect(decodeLock(utf8(json)).own).toMatchObject({ kind: expected, machine: '', start: '' });
});

test.each([
  ['no begin', '{"time":"2026-01-02T03:04:05Z","exclusive":true,"holdfast":{}}'],
  ['what is ours as text', '{"time":"2026-01-02T03:04:05Z","exclusive":true,"holdfast":"x"}'],
  ['no time', '{"exclusive":true}'],
  ['no kind', '{"time":"2026-01-02T03:04:05Z"}'],
  ['a kind that is text', '{"time":"2026-01-02T03:04:05Z","exclusive":"true"}'],
  ['a snapshot', `{"time":"2026-01-02T03:04:05Z","tree":"${'00'.repeat(32)}"}`],
  ['a list', '[]'],
  ['nothing', ''],
])('refuses %s', (_, json) => {
  expect(() => decodeLock(utf8(json))).toThrow(damaged);
});
