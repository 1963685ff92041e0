import { expect, test } from 'vitest';
import { parseUsers, withoutUser, withUser } from './htpasswd.ts';

const bcrypt = `$2y$05$${'a'.repeat(53)}`;
const sha = '{SHA}wA27ydrfvh4jLpOnKd1HUvreCr8=';

test('reads names and hashes, the last line of a name first', () => {
  const text = `\uFEFF# x\r\n\nanna:${sha}\nbob:${bcrypt}:more\r\nanna:${bcrypt}\n`.replace(
    '\uFEFF',
    '',
  );
  const { users, remarks } = parseUsers(text);
  expect([...users.values()]).toEqual([
    { name: 'anna', hash: bcrypt },
    { name: 'bob', hash: bcrypt },
  ]);
  expect(remarks).toEqual([]);
});

test('passes over what is no user, and says so without the hash', () => {
  const hashes = ['', 'plain', '$apr1$x', `$2x$05$${'a'.repeat(53)}`, `$2b$31$${'a'.repeat(53)}`];
  const names = ['', '..', '.x', 'a/b', 'config', 'a b', 'ä'];
  const lines = [...hashes.map((h) => `u:${h}`), ...names.map((n) => `${n}:${bcrypt}`)];
  const { users, remarks } = parseUsers(lines.join('\n'));
  expect(users.size).toBe(0);
  expect(remarks.length).toBe(lines.length);
  expect(remarks.join('\n')).not.toMatch(/aaaa|plain/);
});

test('changes one line and keeps the others', () => {
  const text = `# ours\nanna:${sha}\n# between\nbob:${bcrypt}`;
  const changed = withUser(text, { name: 'anna', hash: bcrypt });
  expect(changed).toBe(`# ours\nanna:${bcrypt}\n# between\nbob:${bcrypt}\n`);
  expect(withUser('', { name: 'anna', hash: bcrypt })).toBe(`anna:${bcrypt}\n`);
  expect(withoutUser(changed, 'anna')).toBe(`# ours\n# between\nbob:${bcrypt}\n`);
  expect(withoutUser(changed, 'carl')).toBeUndefined();
});
