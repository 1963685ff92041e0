import { listDirectory, openDirectoryAt } from '../../platform/directory.ts';
import { closeFile, unlinkAt } from '../../platform/files.ts';
import { tryReadStatus } from '../../platform/status.ts';

interface Level {
  readonly fd: number;
  /** Name of the directory in the level above. */
  readonly name: Uint8Array;
  readonly names: Uint8Array[];
}

/** Removes a directory and all below it, without ever following a link. */
export function removeBelow(directory: number, name: Uint8Array): void {
  const levels: Level[] = [enter(directory, name)];
  try {
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const next = level.names.pop();
      if (!next) {
        levels.pop();
        closeFile(level.fd);
        unlinkAt(levels.at(-1)?.fd ?? directory, level.name, { directory: true });
        continue;
      }
      const status = tryReadStatus({ directory: level.fd, name: next });
      if (status?.kind === 'directory') levels.push(enter(level.fd, next));
      else if (status) unlinkAt(level.fd, next);
    }
  } finally {
    for (const { fd } of levels) closeFile(fd);
  }
}

function enter(directory: number, name: Uint8Array): Level {
  const fd = openDirectoryAt(directory, name);
  try {
    return { fd, name, names: listDirectory(fd) };
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}
