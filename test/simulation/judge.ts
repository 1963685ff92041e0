import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FileType } from '../../src/storage/backend.ts';
import { placeOf, repositoryLayout } from '../../src/storage/layout.ts';
import { findDifference } from './operations.ts';
import type { Place } from './world.ts';

/** Snapshots of a repository that are restored. */
const restoredMax = 2;

/**
 * Has the official restic judge the end of a run: it must find nothing wrong with a repository, reading all of it, and
 * restore what was backed up.
 * @param restic path of the program
 * @returns what is wrong
 */
export function judge(place: Place, restic: string): string | undefined {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(path.join(base, 'holdfast-simulation-judge-'));
  const repository = path.join(folder, 'repository');
  const run = (...args: readonly string[]): string | undefined => {
    const done = spawnSync(restic, ['-r', repository, '--no-cache', '--no-lock', ...args], {
      env: { ...process.env, RESTIC_PASSWORD: place.keyring.password },
      encoding: 'utf8',
    });
    const what = `I8: restic ${args.join(' ')} of ${place.name}`;
    return done.status === 0 ? undefined : `${what}: ${done.stdout}${done.stderr}`;
  };
  try {
    writeRepository(place, repository);
    const found = run('check', '--read-data');
    if (found !== undefined) return found;
    for (const [id, { attempt }] of [...place.oracle.snapshots].slice(-restoredMax)) {
      const target = path.join(folder, id);
      const failed = run('restore', id, '--target', target);
      if (failed !== undefined) return failed;
      const other = attempt && findDifference(path.join(target, attempt.folder), attempt);
      if (other !== undefined) return `I8: restic restored ${other}`;
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeRepository({ store }: Place, root: string): void {
  for (const [key, bytes] of store.files) {
    const [type = '', name = ''] = key.split('/');
    const place = placeOf(repositoryLayout, { type: type as FileType, name });
    const folder = path.join(root, ...place.folders);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, place.name), bytes);
  }
  for (const folder of Object.values(repositoryLayout.folders))
    mkdirSync(path.join(root, folder), { recursive: true });
}
