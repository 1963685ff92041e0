import { readlinkSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { type MountPoint, mountPoints, probeDirectory } from '../../platform/mounts.ts';
import { type FileStatus, tryReadStatus } from '../../platform/status.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { absolutePath, componentsOf } from './clean-path.ts';

/** As the kernel's own limit. */
const linksMax = 40;

/**
 * File systems that answer from memory or from a disk of this machine; asking them first would only cost time. All
 * others (NFS, FUSE, autofs, what is not known) may wait for somebody else without end.
 */
const localTypes: ReadonlySet<string> = new Set(
  `bcachefs bpf btrfs cgroup cgroup2 configfs debugfs devpts devtmpfs ecryptfs efivarfs erofs exfat ext2 ext3 ext4 f2fs
  fusectl hfsplus hugetlbfs iso9660 jfs minix mqueue nilfs2 nsfs ntfs3 overlay proc pstore ramfs reiserfs rootfs
  securityfs selinuxfs squashfs sysfs tmpfs tracefs udf vfat xfs zfs`.split(/\s+/),
);

/** The system's part of the watch; a test has its own. */
export interface MountCalls {
  /** What is mounted now; a later one at the same path hides an earlier one. */
  list(): readonly Pick<MountPoint, 'path' | 'device' | 'type'>[];
  /** True if the directory can be listed; false if it gives no answer in time. Must not block the thread. */
  probe(path: Uint8Array): Promise<boolean>;
  /** As `probe` for an entry below a mount point that answered: true if it tells its status. */
  probeEntry?(path: Uint8Array): Promise<boolean>;
}

/** Mount points of this machine; one that gives no answer within `timeoutMs` counts as dead. */
export function systemMounts(
  clock: Clock,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): MountCalls {
  return {
    list: mountPoints,
    probe: (path) => probeDirectory(path, options, clock),
  };
}

/**
 * Keeps the walk away from mounted file systems that do not answer: a dead NFS server or a FUSE program that sleeps
 * would stop the thread in the first call that touches its mount point, and with it everything.
 *
 * Each mount point is asked once, in a call that cannot block, before anything else touches it.
 */
export class MountWatch {
  readonly #calls: MountCalls;
  #types: ReadonlyMap<ByteText, string>;
  /** Devices whose directories may be mounted by the first access to them. */
  readonly #automountDevices: ReadonlySet<FileStatus['device']>;
  readonly #answers = new Map<ByteText, Promise<boolean>>();
  readonly #silent = new Set<ByteText>();
  /** Names of mount points by the directory that holds them, below the targets only. */
  readonly #namesIn = new Map<ByteText, Set<ByteText>>();
  /** Whether the file systems of these devices may stop answering. */
  readonly #farDevices = new Map<FileStatus['device'], boolean>();
  /** Where a path as named by the user leads through links: [path as named, real path]. */
  readonly #aliases: [ByteText, ByteText][] = [];

  constructor(calls: MountCalls) {
    this.#calls = calls;
    const mounts = calls.list();
    this.#types = typesByPath(mounts);
    this.#noteDevices(mounts);
    this.#automountDevices = new Set(
      mounts.filter((mount) => mount.type === 'autofs').map((mount) => mount.device),
    );
  }

  /** False: nothing is mounted below any target that may hang. */
  get hasAny(): boolean {
    return this.#namesIn.size > 0;
  }

  /**
   * Finds where a target really is, asking each file system on the way first.
   * @returns false if one of them does not answer, so that the target must not be touched
   */
  async enterTarget(path: ByteText): Promise<boolean> {
    const real = await this.#resolve(path);
    if (real === undefined) return false;
    if (real !== path) this.#aliases.unshift([path, real]);
    for (const point of this.#types.keys()) {
      if (!isBelow(point, real) || !this.#mayHang(point)) continue;
      const slash = point.lastIndexOf('/');
      const parent = slash === 0 ? '/' : point.slice(0, slash);
      const names = this.#namesIn.get(parent) ?? new Set();
      this.#namesIn.set(parent, names.add(point.slice(slash + 1)));
    }
    return true;
  }

  /** Asks the file systems mounted directly in the directory `path`; undefined if there are none. */
  askBelow(path: Uint8Array): Promise<void> | undefined {
    if (this.#namesIn.size === 0) return undefined;
    const real = this.#realPath(path);
    const names = this.#namesIn.get(real);
    if (names === undefined) return undefined;
    return Promise.all(Array.from(names, (name) => this.#ask(joined(real, name)))).then(() => {});
  }

  /**
   * Asks the file system mounted at `path`, if there is one: a Btrfs subvolume has a device of its own, too. Undefined
   * if there is nothing to ask.
   */
  askAt(path: Uint8Array, device: FileStatus['device']): Promise<unknown> | undefined {
    const real = this.#realPath(path);
    const isAutomount = this.#automountDevices.has(device);
    if (!isAutomount && (!this.isMountPoint(path) || !this.#mayHang(real))) return undefined;
    return this.#ask(real);
  }

  /** True if something is mounted at `path` now. */
  isMountPoint(path: Uint8Array): boolean {
    const real = this.#realPath(path);
    if (!this.#types.has(real)) this.#types = typesByPath(this.#calls.list());
    return this.#types.has(real);
  }

  isAutomount(device: FileStatus['device']): boolean {
    return this.#automountDevices.size > 0 && this.#automountDevices.has(device);
  }

  /**
   * True if the file system with this device may stop answering at any time, so that no thread of ours may touch its
   * entries. What holds the system's root is trusted: without it nothing runs.
   */
  isFar(device: FileStatus['device']): boolean {
    let isFar = this.#farDevices.get(device);
    if (isFar === undefined) {
      // Mounted since, or without a mount of its own: a Btrfs subvolume.
      this.#noteDevices(this.#calls.list());
      isFar = this.#farDevices.get(device) ?? false;
      this.#farDevices.set(device, isFar);
    }
    return isFar;
  }

  /** Where the file system with this device is mounted; undefined if that is not known. */
  rootOf(device: FileStatus['device']): Uint8Array | undefined {
    return this.#calls.list().findLast((mount) => mount.device === device)?.path;
  }

  /** True if the file system at `path` was asked and did not answer. */
  isSilent(path: Uint8Array): boolean {
    return this.#silent.size > 0 && this.#silent.has(this.#realPath(path));
  }

  /** Names in the directory `path` that must not be touched. */
  silentNamesIn(path: Uint8Array): ReadonlySet<ByteText> | undefined {
    if (this.#silent.size === 0) return undefined;
    const real = this.#realPath(path);
    const names = this.#namesIn.get(real) ?? [];
    return new Set([...names].filter((name) => this.#silent.has(joined(real, name))));
  }

  #noteDevices(mounts: ReturnType<MountCalls['list']>): void {
    for (const { device, type } of mounts) this.#farDevices.set(device, !localTypes.has(type));
    for (const { path, device } of mounts) {
      if (byteTextOf(path) === '/') this.#farDevices.set(device, false);
    }
  }

  #mayHang(point: ByteText): boolean {
    return !localTypes.has(this.#types.get(point) ?? '');
  }

  #ask(point: ByteText): Promise<boolean> {
    let answer = this.#answers.get(point);
    if (answer === undefined) {
      const isMount = this.#types.has(point);
      const path = bytesOf(point);
      const entryAnswer = isMount ? undefined : this.#calls.probeEntry?.(path);
      answer = (entryAnswer ?? this.#calls.probe(path)).then((isAlive) => {
        if (!isAlive) this.#silent.add(point);
        return isAlive;
      });
      this.#answers.set(point, answer);
    }
    return answer;
  }

  #realPath(path: Uint8Array): ByteText {
    const text = byteTextOf(path);
    for (const [named, real] of this.#aliases) {
      if (text === named) return real;
      if (isBelow(text, named)) return joined(real, text.slice(named.length).replace(/^\/+/, ''));
    }
    return text;
  }

  /** The path without links in its parents; undefined if something on the way does not answer. */
  async #resolve(path: ByteText): Promise<ByteText | undefined> {
    let rest = componentsOf(path);
    let at: ByteText = '/';
    let isFar = false;
    let linkCount = 0;
    while (rest.length > 0) {
      const next = joined(at, rest[0] ?? '');
      rest = rest.slice(1);
      if (this.#types.has(next)) isFar = this.#mayHang(next);
      // Below such a mount point every entry on the way may be the one that hangs.
      if (isFar && !(await this.#ask(next))) return undefined;
      const target = rest.length > 0 ? linkTargetOf(next) : undefined;
      if (target === undefined) at = next;
      else {
        // A loop of links: the calls that follow will say so.
        if (++linkCount > linksMax) return path;
        rest = [...componentsOf(absolutePath(target, at)), ...rest];
        at = '/';
        isFar = false;
      }
    }
    return at;
  }
}

function typesByPath(mounts: ReturnType<MountCalls['list']>): Map<ByteText, string> {
  return new Map(mounts.map((mount) => [byteTextOf(mount.path), mount.type]));
}

function linkTargetOf(path: ByteText): ByteText | undefined {
  const bytes = bytesOf(path);
  try {
    if (tryReadStatus(bytes)?.kind !== 'symlink') return undefined;
    return byteTextOf(readlinkSync(Buffer.from(bytes), { encoding: 'buffer' }));
  } catch {
    // Not readable: the calls that follow will say so.
    return undefined;
  }
}

function isBelow(path: ByteText, directory: ByteText): boolean {
  return directory === '/' ? path !== '/' : path.startsWith(`${directory}/`);
}

function joined(directory: ByteText, name: ByteText): ByteText {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
