import { type Random, randomBytes } from '../../src/base/random.ts';

// 32 signs that are not mistaken for each other, written or spoken: five bits each.
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
const groupCount = 6;
const groupLength = 5;

/** A fresh password of 150 random bits, in groups that can be copied by hand. */
export function generatePassword(random: Random): string {
  const bytes = randomBytes(random, groupCount * groupLength);
  const signs = Array.from(bytes, (byte) => alphabet.charAt(byte % alphabet.length)).join('');
  return (signs.match(new RegExp(`.{${groupLength}}`, 'g')) ?? []).join('-');
}

/** What a recovery kit says. */
export interface RecoveryKit {
  readonly repository: string;
  /** Unknown until the repository is there. */
  readonly repositoryId: string | undefined;
  readonly password: string;
  readonly source: string;
  /** Day it was written: `2026-01-31`. */
  readonly date: string;
  /** How to call Holdfast on this machine. */
  readonly program: string;
}

/** The text of a recovery kit: all that somebody needs who has it, the repository and any computer. */
export function recoveryKitText(kit: RecoveryKit): string {
  const { repository, password, program } = kit;
  return `HOLDFAST RECOVERY KIT                                        written on ${kit.date}

Whoever has this page and the repository can read the backups. Without the password nobody can, and nobody can
make a new one. Keep a copy away from this machine: on paper, or in a password manager.

Repository    ${repository}
Repository id ${kit.repositoryId ?? '(not created yet)'}
Password      ${password}
Backed up     ${kit.source}

To restore with Holdfast (it asks for the password):

  ${program} -r ${quote(repository)} snapshots
  ${program} -r ${quote(repository)} restore latest --target FOLDER

On a new machine, get Holdfast first: it needs git, Node.js 20 or newer and npm; its README says how.
If the repository moved, for example with its disk, give its new place after -r.

To restore without Holdfast: the repository has the open format of restic, version 2. Any release of the program
restic from 0.14 on reads it, and it is in most Linux distributions (it asks for the password, too):

  restic -r ${quote(repository)} snapshots
  restic -r ${quote(repository)} restore latest --target FOLDER

FOLDER is where the files go, for example /tmp/restored; they come with their full paths below it.
`;
}

/** A word as a shell takes it literally. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
