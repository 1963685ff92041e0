import { HoldfastError } from '../base/errors.ts';
import { isFolderName } from './request-path.ts';

/** One user of a file: the name, and what the password is verified against. */
export interface UserEntry {
  readonly name: string;
  readonly hash: string;
}

/** What a file of users says. */
export interface UserList {
  readonly users: ReadonlyMap<string, UserEntry>;
  /** Lines that are passed over, or that somebody should know of: what, with the number of the line. Without any hash. */
  readonly remarks: readonly string[];
}

/** bcrypt takes no more of a password; what is longer would count only in part. */
export const passwordSizeBytesMax = 72;
/** bcrypt's work for new passwords: 2^10 rounds take some 60 ms. */
export const newCost = 10;
/** More work than this for one look at a password would let a few of them keep the server busy. */
const costMax = 15;

const namePattern = /^[A-Za-z0-9@_-][A-Za-z0-9@._-]{0,127}$/;
const bcryptPattern = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const shaPattern = /^\{SHA\}[A-Za-z0-9+/]{27}=$/;

/** True for a hash of bcrypt; the others are of SHA-1 without salt. */
export function isBcrypt(hash: string): boolean {
  return bcryptPattern.test(hash);
}

/** The work that a hash of bcrypt asks for; 0 for others. */
export function costOf(hash: string): number {
  return Number(bcryptPattern.exec(hash)?.[1] ?? 0);
}

/** True for what can be the name of a user: it can be the folder of private repositories, too. */
export function isUserName(name: string): boolean {
  return namePattern.test(name) && isFolderName(name);
}

/** @throws USAGE for what is no name of a user */
export function assertUserName(name: string): void {
  if (isUserName(name)) return;
  throw new HoldfastError('USAGE', {
    message: `${JSON.stringify(name)} cannot be the name of a user`,
    hint: 'Use up to 128 letters, digits and @ . _ -, no point at the beginning, and none of: config, data, index, keys, locks, parity, snapshots.',
  });
}

/**
 * Reads a file in the format of Apache's htpasswd, as restic's rest-server has it: `name:hash` on each line, `#` for comments.
 * Hashes are those of bcrypt (`htpasswd -B`) and of SHA-1 (`htpasswd -s`); of two lines of one name the last counts.
 */
export function parseUsers(text: string): UserList {
  const users = new Map<string, UserEntry>();
  const remarks: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = entryOf(line);
    if (!entry) continue;
    const problem = problemOf(entry);
    if (problem) remarks.push(`line ${index + 1}: ${problem}; passed over`);
    else users.set(entry.name, entry);
  }
  const weak = [...users.values()].filter(({ hash }) => !isBcrypt(hash)).length;
  if (weak > 0) remarks.push(`${weak} users have a hash of SHA-1, which is weak: set them anew`);
  return { users, remarks };
}

function entryOf(line: string): UserEntry | undefined {
  if (line.trim() === '' || line.trimStart().startsWith('#')) return undefined;
  const [name = '', hash = ''] = line.trim().split(':');
  return { name, hash };
}

function problemOf({ name, hash }: UserEntry): string | undefined {
  if (!isUserName(name)) return 'not a name of a user';
  if (shaPattern.test(hash)) return undefined;
  if (!isBcrypt(hash)) return `the hash of ${name} is not of a kind that is known`;
  if (costOf(hash) > costMax) return `the hash of ${name} asks for more work than is safe`;
  return undefined;
}

/** The file with a user set, in place or at the end; other lines stay as they are. */
export function withUser(text: string, user: UserEntry): string {
  const kept = linesWithout(text, user.name);
  const at = kept.index ?? kept.lines.length;
  return joined(kept.lines.toSpliced(at, 0, `${user.name}:${user.hash}`));
}

/** The file without a user; undefined if it has none of this name. */
export function withoutUser(text: string, name: string): string | undefined {
  const { lines, index } = linesWithout(text, name);
  return index === undefined ? undefined : joined(lines);
}

/** Lines but those of one user, and where the first of those stood. */
function linesWithout(
  text: string,
  name: string,
): { readonly lines: string[]; readonly index: number | undefined } {
  const all = text.split(/\r?\n/);
  if (all.at(-1) === '') all.pop();
  const index = all.findIndex((line) => entryOf(line)?.name === name);
  const lines = all.filter((line) => entryOf(line)?.name !== name);
  return { lines, index: index < 0 ? undefined : index };
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
