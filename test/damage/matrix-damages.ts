import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A file that is damaged, and others that take part. */
export interface Victim {
  readonly file: string;
  /** Bytes that are hit, of the file. */
  readonly range: readonly [start: number, end: number];
  /** Another of the same kind. */
  readonly second: string | undefined;
  /** One of the same kind, of another repository. */
  readonly foreign: string;
}

export type Damage = (victim: Victim) => void;

/** What can happen to a file of a repository. */
export const damages: Readonly<Record<string, Damage>> = {
  flip: ({ file, range: [start, end] }) => {
    change(file, (bytes) => {
      const at = (start + end) >> 1;
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      return bytes;
    });
  },
  truncate: ({ file, range: [start, end] }) =>
    change(file, (bytes) => bytes.subarray(0, (start + end) >> 1)),
  zero: ({ file, range: [start, end] }) => change(file, (bytes) => bytes.fill(0, start, end)),
  delete: ({ file }) => rmSync(file),
  swap: ({ file, second = '' }) => {
    const [first, other] = [readFileSync(file), readFileSync(second)];
    change(file, () => other);
    change(second, () => first);
  },
  duplicate: ({ file }) => cpSync(file, join(dirname(file), otherName(basename(file)))),
  foreign: ({ file, foreign }) => {
    // There is one config; of all else there is one more.
    const isConfig = file.endsWith('/config');
    if (isConfig) rmSync(file);
    const name = foreign.slice(foreign.lastIndexOf('/') + 1);
    const isPack = /\/data\/[0-9a-f]{2}\//.test(file);
    const folder = isPack ? join(dirname(dirname(file)), name.slice(0, 2)) : dirname(file);
    cpSync(foreign, join(folder, name));
  },
};

/** A name that no file has, which belongs to the same folder. */
export function otherName(name: string): string {
  return `${name.slice(0, 2)}${'ab'.repeat(31)}`;
}

function change(file: string, edit: (bytes: Buffer) => Uint8Array): void {
  const bytes = edit(readFileSync(file));
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

/** Files of a repository in one of its folders, by name; `config` for itself. */
export function filesIn(repository: string, folder: string): string[] {
  if (folder === 'config') return [join(repository, folder)];
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
