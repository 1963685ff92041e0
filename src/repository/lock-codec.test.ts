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

test.each([
  ['no time', '{"exclusive":true}'],
  ['no kind', '{"time":"2026-01-02T03:04:05Z"}'],
  ['a kind that is text', '{"time":"2026-01-02T03:04:05Z","exclusive":"true"}'],
  ['a snapshot', `{"time":"2026-01-02T03:04:05Z","tree":"${'00'.repeat(32)}"}`],
  ['a list', '[]'],
  ['nothing', ''],
])('refuses %s', (_, json) => {
  expect(() => decodeLock(utf8(json))).toThrow(damaged);
});
