import { existsSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { removeTree } from '../../src/platform/files.ts';

/** A folder of one test file, gone when its tests are over, however deep or strange what it holds. */
export interface Scratch {
  readonly path: string;
  /** A fresh path below it, which does not exist yet. */
  fresh(name: string): string;
  /** Removes what is there; no error if nothing is. */
  remove(place: string): void;
}

/** @param onDisk in the system's folder for temporary files, not on tmpfs, which is faster */
export function scratchFolder(name: string, { onDisk = false } = {}): Scratch {
  const parent = !onDisk && existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const root = realpathSync(mkdtempSync(path.join(parent, `holdfast-${name}-`)));
  let count = 0;
  afterAll(() => removeFolder(root));
  return {
    path: root,
    fresh: (kind) => path.join(root, `${kind}-${count++}`),
    remove: removeFolder,
  };
}

function removeFolder(place: string): void {
  removeTree(Buffer.from(place));
}
