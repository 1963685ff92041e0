import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import { describe, expect, test } from 'vitest';

/** Programs and rights that some tests need, and how to get them. */
const installs = {
  bsdtar: 'the Debian package libarchive-tools',
  getfattr: 'the Debian package attr',
  'mkfs.btrfs': 'the Debian package btrfs-progs',
  'mkfs.xfs': 'the Debian package xfsprogs',
  rclone: 'rclone 1.75 or newer',
  restic: 'restic 0.19 or newer',
  root: 'to run as root',
  rsync: 'the Debian package rsync',
  setcap: 'the Debian package libcap2-bin',
  setfacl: 'the Debian package acl',
  strace: 'the Debian package strace',
} as const;

/** A program that is not ours, that tests judge us by; or the right to act as root. */
export type PeerName = keyof typeof installs;

/** Path of a peer's program, or undefined where it is not on the PATH. For `root`: `/` if this is root. */
export function findPeer(name: PeerName): string | undefined {
  if (name === 'root') return process.getuid?.() === 0 ? '/' : undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** True if `HOLDFAST_TEST_REQUIRE` (names with commas or spaces between, or `all`) forbids to skip what needs this peer. */
export function isRequired(name: PeerName): boolean {
  const required = (process.env['HOLDFAST_TEST_REQUIRE'] ?? '').split(/[\s,]+/);
  return required.includes(name) || required.includes('all');
}

/** What is missing of `names`, in words: `restic (install restic 0.19 or newer)`. */
export function missingPeers(...names: readonly PeerName[]): string[] {
  return names
    .filter((name) => findPeer(name) === undefined)
    .map((name) => (name === 'root' ? installs.root : `${name} (install ${installs[name]})`));
}

/**
 * Path of a peer for a suite that is skipped without it: `describe.skipIf(restic === undefined)`.
 * Adds a test that fails if the peer is required and missing.
 */
export function requirePeer(name: PeerName): string | undefined {
  const path = findPeer(name);
  if (isRequired(name)) {
    test(`${name} is there`, () => {
      expect(path, `needed: ${installs[name]}`).toBeDefined();
    });
  }
  return path;
}

/**
 * A suite that needs peers. Without one it is skipped under a name that says what to install;
 * if the peer is required, it fails instead.
 */
export function describeWith(names: readonly PeerName[], title: string, suite: () => void): void {
  for (const name of names) requirePeer(name);
  const missing = missingPeers(...names);
  if (missing.length === 0) describe(title, suite);
  else describe.skip(`${title} (needs ${missing.join(', ')})`, suite);
}
