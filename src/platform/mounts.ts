import { readFileSync } from 'node:fs';
import { makeDevice } from './device.ts';
import { readStatusOf } from './status.ts';
import { fromNodeError } from './system-error.ts';
import { system } from './system.ts';

/** One mounted file system. */
export interface MountPoint {
  /** Where, in raw bytes. */
  readonly path: Uint8Array<ArrayBuffer>;
  /** As `FileStatus.device`; btrfs shows another number in the status of its files. */
  readonly device: number | bigint;
  /** `ext4`, `fuse.sshfs`, `nfs4`, … */
  readonly type: string;
  /** What is mounted: a device, a server, or a name the file system made up; raw bytes as text of Latin-1. */
  readonly source: string;
}

/**
 * What is mounted in the view of this process, in order of mounting: a later one at the same path hides an earlier one.
 *
 * Empty where the system does not tell (not Linux).
 * @see proc_pid_mountinfo(5)
 */
export function mountPoints(): MountPoint[] {
  if (process.platform !== 'linux') return [];
  const path = '/proc/self/mountinfo';
  try {
    return decodeMounts(readFileSync(path));
  } catch (error) {
    throw fromNodeError({ call: 'read', place: Buffer.from(path) }, error);
  }
}

/**
 * Whether something is mounted at `directory`: another file system, or another part of the same one, which its device
 * does not show (a bind mount).
 * @param directory opened
 * @param above the opened directory that it is in
 * @throws SYSTEM_CALL_FAILED
 * @see statx(2) STATX_ATTR_MOUNT_ROOT, proc_pid_fdinfo(5)
 */
export function isMounted(directory: number, above: number): boolean {
  if (readStatusOf(directory).device !== readStatusOf(above).device) return true;
  return system().isMountRoot(directory) ?? mountId(directory) !== mountId(above);
}

/** Tells mounts apart; undefined where the system does not (not Linux, no /proc). */
function mountId(directory: number): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const text = readFileSync(`/proc/self/fdinfo/${directory}`, 'latin1');
    return /^mnt_id:\s*(\d+)$/m.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

/** Reads the text of `mountinfo`; lines that are not of its form are skipped. */
export function decodeMounts(text: Uint8Array): MountPoint[] {
  // Latin-1 keeps every byte; names are turned back below.
  const lines = Buffer.from(text).toString('latin1').split('\n');
  return lines.map(decodeLine).filter((mount) => mount !== undefined);
}

/** `36 35 98:0 /root /mount/point rw,noatime optional:1 - type source rw` */
function decodeLine(line: string): MountPoint | undefined {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  const [major, minor] = (fields[2] ?? '').split(':').map(Number);
  const path = fields[4];
  const type = fields[separator + 1];
  if (separator < 0 || path === undefined || type === undefined) return undefined;
  if (!Number.isInteger(major) || !Number.isInteger(minor)) return undefined;
  return {
    path: Uint8Array.from(Buffer.from(unescapeField(path), 'latin1')),
    device: makeDevice(Number(major), Number(minor)),
    type,
    source: unescapeField(fields[separator + 2] ?? ''),
  };
}

/** Space, tab, newline and backslash stand as `\040`, `\011`, `\012`, `\134`. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

export { probeDirectory } from './probe.ts';
