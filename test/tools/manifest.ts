import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Every file below a folder with its content. */
export type Content = ReadonlyMap<string, Buffer>;

/** Every entry below a folder, by its path from there, in words: all of it that a restore must bring back. */
export type Manifest = ReadonlyMap<string, string>;

export function contentOf(root: string): Content {
  const found = new Map<string, Buffer>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(root.length), readFileSync(path));
  }
  return found;
}

/** Kind, permissions, owner, time to the nanosecond, and what each entry holds or leads to. */
export function manifestOf(root: string): Manifest {
  const found = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(root.length), describe(path, lstatSync(path, { bigint: true })));
  }
  return found;
}

function describe(path: string, status: BigIntStats): string {
  const { mode, uid, gid, mtimeNs } = status;
  const common = `${mode.toString(8)} ${uid}:${gid} ${mtimeNs}`;
  if (status.isFile()) {
    const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
    return `${common} ${status.nlink} ${hash}`;
  }
  return status.isSymbolicLink() ? `${common} -> ${readlinkSync(path)}` : common;
}

export function equalManifests(a: Manifest, b: Manifest): boolean {
  return a.size === b.size && [...a].every(([path, text]) => b.get(path) === text);
}
