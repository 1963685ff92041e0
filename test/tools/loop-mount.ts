import { spawnSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { mustRun } from './run-program.ts';

/** Kinds of file systems that tests make for themselves, and how. */
const kinds = {
  ext4: {
    sizeMiB: 64,
    program: 'mkfs.ext4',
    args: ['-q', '-F', '-b', '4096', '-I', '256', '-O', 'ea_inode'],
  },
  xfs: { sizeMiB: 300, program: 'mkfs.xfs', args: ['-q', '-f'] },
  btrfs: { sizeMiB: 128, program: 'mkfs.btrfs', args: ['-q', '-f'] },
} as const;

export type FileSystemKind = keyof typeof kinds;

/** Makes a file system in the file `image` and mounts it at the new directory `point`. */
export async function mountLoop(kind: FileSystemKind, image: string, point: string): Promise<void> {
  const { sizeMiB, program, args } = kinds[kind];
  writeFileSync(image, '');
  truncateSync(image, sizeMiB << 20);
  mkdirSync(point);
  await mustRun(program, [...args, image]);
  await mustRun('mount', ['-o', 'loop', image, point]);
}

/** Unmounts; no error if nothing is mounted there. */
export function unmount(point: string): void {
  spawnSync('umount', ['-l', point]);
}

/** Why this process cannot mount such a file system; undefined if it can. */
export async function mountObstacle(
  kind: FileSystemKind,
  scratch: string,
): Promise<string | undefined> {
  const image = `${scratch}/probe-${kind}`;
  try {
    await mountLoop(kind, image, `${image}-point`);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    unmount(`${image}-point`);
  }
}
