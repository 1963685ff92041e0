import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { removeTree } from '../../src/platform/files.ts';

/** A folder of one test file, there while its tests run, however deep or strange what they put in. */
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
  const root = path.join(realpathSync(parent), `holdfast-${name}-${randomUUID().slice(0, 8)}`);
  let count = 0;
  beforeAll(() => mkdirSync(root, { mode: 0o755 }));
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
