import type { Id } from '../../repository/id.ts';

/** What a recovery kit says. */
export interface RecoveryKit {
  /** Where the repository is, without secrets. */
  readonly location: string;
  /** Unknown until the repository is there. */
  readonly repositoryId: string | undefined;
  readonly password: string;
  /** What is backed up, where that is known. */
  readonly source?: string;
  /** Day it was written: `2026-01-31`. */
  readonly date: string;
  /** How to call Holdfast on this machine. */
  readonly program: string;
  /** The key file that the password opens, and its content. */
  readonly key?: { readonly id: Id; readonly json: string };
  /** The file `config` as it is stored, in base64. */
  readonly config?: string;
}

/** A part of the page. */
export type KitBlock =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'facts'; readonly facts: readonly (readonly [name: string, value: string])[] }
  | { readonly kind: 'commands'; readonly lines: readonly string[] }
  /** One text without line ends that is broken into lines, to be put together again. */
  | { readonly kind: 'data'; readonly text: string };

/** Title of a kit, as text and as HTML. */
export const kitTitle = 'HOLDFAST RECOVERY KIT';

/** The parts of a kit: all that somebody needs who has it, the repository and any computer. */
export function kitBlocks(kit: RecoveryKit): KitBlock[] {
  const { location, password, program, source } = kit;
  const place = shellQuote(location);
  const facts: (readonly [string, string])[] = [
    ['Repository', location],
    ['Repository id', kit.repositoryId ?? '(not created yet)'],
    ['Password', password],
  ];
  if (source !== undefined) facts.push(['Backed up', source]);
  return [
    {
      kind: 'text',
      text: `Whoever has this page and the repository can read the backups. Without a password nobody can, and nobody can make a new one. Keep a copy away from this machine: on paper, or in a password manager.`,
    },
    { kind: 'facts', facts },
    { kind: 'heading', text: 'To restore with Holdfast (it asks for the password):' },
    {
      kind: 'commands',
      lines: [
        `${program} -r ${place} snapshots`,
        `${program} -r ${place} restore latest --target FOLDER`,
      ],
    },
    {
      kind: 'text',
      text: `On a new machine, get Holdfast first: it needs git, Node.js 20 or newer and npm; its README says how. If the repository moved, for example with its disk, give its new place after -r.`,
    },
    {
      kind: 'heading',
      text: 'To restore without Holdfast (it asks for the password, too):',
    },
    {
      kind: 'text',
      text: `The repository has the open format of restic, version 2. Any release of the program restic from 0.14 on reads it, and it is in most Linux distributions:`,
    },
    {
      kind: 'commands',
      lines: [`restic -r ${place} snapshots`, `restic -r ${place} restore latest --target FOLDER`],
    },
    {
      kind: 'text',
      text: `FOLDER is where the files go, for example /tmp/restored; they come with their full paths below it.`,
    },
    ...lostFiles(kit),
  ];
}

/** What brings back the two small files without which nothing can be read. */
function lostFiles({ key, config }: RecoveryKit): KitBlock[] {
  const blocks: KitBlock[] = [];
  if (key) {
    blocks.push(
      { kind: 'heading', text: 'If the folder "keys" of the repository is lost:' },
      {
        kind: 'text',
        text: `Make it again, with a file in it that is named ${key.id} and holds the following as one line, without any line end. Its SHA-256 is its name, so "sha256sum" tells whether it was typed right. It is worth nothing without the password above.`,
      },
      { kind: 'data', text: key.json },
    );
  }
  if (config !== undefined) {
    blocks.push(
      { kind: 'heading', text: 'If the file "config" of the repository is lost:' },
      {
        kind: 'text',
        text: `Decode the following to it, as with "base64 -d". It is sealed, and worth nothing without a key.`,
      },
      { kind: 'data', text: config },
    );
  }
  return blocks;
}

/** A word as a shell takes it literally. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
