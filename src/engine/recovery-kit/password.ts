import { type Random, randomBytes } from '../../base/random.ts';

// 32 signs that are not mistaken for each other, written or spoken: five bits each.
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
const groupLength = 5;

/** Groups of a generated password. */
export const passwordGroupCount = 6;

/** A fresh password of 150 random bits, in groups that can be copied by hand. */
export function generatePassword(random: Random): string {
  const bytes = randomBytes(random, passwordGroupCount * groupLength);
  const signs = Array.from(bytes, (byte) => alphabet.charAt(byte % alphabet.length)).join('');
  return (signs.match(new RegExp(`.{${groupLength}}`, 'g')) ?? []).join('-');
}

/** True if `typed` has these groups of a password (counted from 1), however they are parted and in whatever case. */
export function isTypedBack(password: string, groups: readonly number[], typed: string): boolean {
  const parts = password.split('-');
  const expected = groups.map((group) => parts[group - 1] ?? '').join('');
  return typed.toLowerCase().replace(/[\s-]/g, '') === expected && expected !== '';
}
