import { expect, test } from 'vitest';

import {
  generatePassword,
  quote,
  recoveryKitText,
} from '../../scripts/first-backup/recovery-kit.ts';
import { systemRandom } from '../../src/base/random.ts';

test('a password has 150 random bits in groups that can be copied by hand', () => {
  const passwords = Array.from({ length: 20 }, () => generatePassword(systemRandom));
  for (const password of passwords)
    expect(password).toMatch(/^([a-km-np-z2-9]{5}-){5}[a-km-np-z2-9]{5}$/);
  expect(new Set(passwords).size).toBe(20);
  const zeros = { fill: <T extends Uint8Array>(target: T): T => target };
  expect(generatePassword(zeros)).toBe('aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa');
});

test('a kit has place, password and the commands of both programs', () => {
  const text = recoveryKitText({
    repository: "/srv/anna's/repository",
    repositoryId: 'ab'.repeat(32),
    password: 'abcde-fghij',
    source: '/home/anna',
    date: '2026-01-31',
    program: '/opt/holdfast/bin/holdfast',
  });
  for (const part of [
    "Repository    /srv/anna's/repository\n",
    'Password      abcde-fghij\n',
    `  /opt/holdfast/bin/holdfast -r '/srv/anna'\\''s/repository' restore latest --target FOLDER\n`,
    `  restic -r '/srv/anna'\\''s/repository' restore latest --target FOLDER\n`,
  ]) {
    expect(text).toContain(part);
  }
  expect(quote('/plain/path')).toBe('/plain/path');
});
