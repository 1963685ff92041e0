import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/**
 * Everything that a folder holds, a line an entry: path, type and mode, size, times of content, target of links. Two
 * prints are equal when nothing was written, made, removed or changed below the folder.
 */
export function printFolder(root: string, passOver: ReadonlySet<string> = new Set()): string {
  const lines: string[] = [];
  const pending = [''];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const name of readdirSync(path.join(root, folder))) {
      const below = path.join(folder, name);
      if (passOver.has(below)) continue;
      const place = path.join(root, below);
      const status = lstatSync(place);
      const link = status.isSymbolicLink() ? readlinkSync(place) : '';
      const { mode, size, mtimeMs, uid, gid, nlink } = status;
      if (status.isDirectory()) {
        pending.push(below);
        lines.push(`${below}/ ${mode} ${uid} ${gid}`);
      } else lines.push(`${below} ${mode} ${uid} ${gid} ${nlink} ${size} ${mtimeMs} ${link}`);
    }
  }
  return lines.toSorted().join('\n');
}
