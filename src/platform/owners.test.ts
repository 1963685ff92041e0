import { execFileSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeSystems } from './fixtures/both-systems.ts';
import { groupName, userName } from './owners.ts';
import { system } from './system.ts';

/** Lines of the machine's own database, whatever feeds it. */
function getent(database: string): string[][] {
  const text = execFileSync('getent', [database], { encoding: 'utf8' });
  return text
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
}

describeSystems('owners', () => {
  it('agrees with getent on all users and groups', () => {
    for (const [name = '', , id] of getent('passwd')) {
      expect(system().userId(name)).toBe(Number(id));
    }
    for (const [name = '', , id] of getent('group')) {
      expect(system().groupId(name)).toBe(Number(id));
    }
    const users = new Map(
      getent('passwd')
        .toReversed()
        .map(([name, , id]) => [Number(id), name]),
    );
    for (const [id, name] of users) expect(system().userName(id)).toBe(name);
    const groups = new Map(
      getent('group')
        .toReversed()
        .map(([name, , id]) => [Number(id), name]),
    );
    for (const [id, name] of groups) expect(system().groupName(id)).toBe(name);
  });

  it.each([123_456_789, 4_294_967_295])('does not know %i', (id) => {
    expect(system().userName(id)).toBeUndefined();
    expect(system().groupName(id)).toBeUndefined();
  });

  it.each(['', 'no such user', 'root:x', '-x', 'a\0b', '../etc', 'nobody\n'])(
    'does not know %j',
    (name) => {
      expect(system().userId(name)).toBeUndefined();
      expect(system().groupId(name)).toBeUndefined();
    },
  );
});

describe('names of owners', () => {
  it('remembers, also what is not there', () => {
    const { uid, username } = userInfo();
    expect([userName(uid), userName(uid)]).toEqual([username, username]);
    expect([groupName(987_654), groupName(987_654)]).toEqual([undefined, undefined]);
  });
});
