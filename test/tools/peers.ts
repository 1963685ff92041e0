import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { describe, expect, test } from 'vitest';

/** Programs and rights that some tests need, and how to get them. */
const installs = {
  /** The right to mount file systems of a program of one's own. */
  fuse: 'to run as root where there is /dev/fuse',
  bsdtar: 'the Debian package libarchive-tools',
  fish: 'the Debian package fish',
  getfattr: 'the Debian package attr',
  'mkfs.btrfs': 'the Debian package btrfs-progs',
  'mkfs.xfs': 'the Debian package xfsprogs',
  /** The right to mount file systems. */
  mount: 'to run as root where mounting is allowed',
  openssl: 'the Debian package openssl',
  postgres: 'the Debian package postgresql',
  python3: 'the Debian package python3',
  radosgw:
    'the Debian packages radosgw, ceph-mon, ceph-osd and ceph-common, and the folder shared beside the checkout',
  rclone: 'rclone 1.75 or newer',
  restic: 'restic 0.19 or newer',
  root: 'to run as root',
  rsync: 'the Debian package rsync',
  setcap: 'the Debian package libcap2-bin',
  setfacl: 'the Debian package acl',
  sshd: 'the Debian package openssh-server',
  strace: 'the Debian package strace',
  zsh: 'the Debian package zsh',
} as const;

/** What starts a server of it. */
const s3Scripts = join(import.meta.dirname, '../../../shared/peers/s3-server-start');

/** A program that is not ours, that tests judge us by; or the right to act as root, or to mount. */
export type PeerName = keyof typeof installs;

/** Path of a peer's program, or undefined where it is not on the PATH. For a right: `/` if this process has it. */
export function findPeer(name: PeerName): string | undefined {
  if (isRight(name)) return hasRight(name) ? '/' : undefined;
  if (name === 'radosgw' && !existsSync(s3Scripts)) return undefined;
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const folders = [
    ...path,
    '/usr/sbin',
    '/sbin',
    ...(name === 'postgres' ? postgresFolders() : []),
  ];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** Debian keeps the server's programs off the PATH, a folder for each version. */
function postgresFolders(): string[] {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return [];
  const versions = readdirSync(base).toSorted((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(base, version, 'bin'));
}

const rights = ['root', 'mount', 'fuse'] as const;
type Right = (typeof rights)[number];

function isRight(name: PeerName): name is Right {
  return rights.some((right) => right === name);
}

function hasRight(right: Right): boolean {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || right === 'root') return isRoot;
  return right === 'mount' ? mayMount() : existsSync('/dev/fuse') && mayMount();
}

let canMount: boolean | undefined;

/** Root in a container may not. */
function mayMount(): boolean {
  if (canMount !== undefined) return canMount;
  const point = mkdtempSync(join(tmpdir(), 'holdfast-may-mount-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'none', point]);
  if (status === 0) spawnSync('umount', ['-l', point]);
  rmdirSync(point);
  return (canMount = status === 0);
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
    .map((name) => (isRight(name) ? installs[name] : `${name} (install ${installs[name]})`));
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

/** As `describeWith`, for suites with `each`: put `needs` of the same peers behind their title. */
export function describeNeeding(
  ...names: readonly PeerName[]
): typeof describe | typeof describe.skip {
  for (const name of names) requirePeer(name);
  return missingPeers(...names).length === 0 ? describe : describe.skip;
}

/** What a suite that is skipped says it needs; empty if all is there. */
export function needs(...names: readonly PeerName[]): string {
  const missing = missingPeers(...names);
  return missing.length === 0 ? '' : ` (needs ${missing.join(', ')})`;
}
