import { join } from 'node:path';
import { HoldfastError } from '../base/errors.ts';
import { closeFile, lockFile, openFile } from '../platform/file-calls.ts';
import { makeDirectories } from '../platform/folders.ts';

/** The folder of a server, which one server at a time has. */
export interface DataFolder {
  readonly statePath: string;
  readonly keyPath: string;
  readonly cachePath: string;
  close(): void;
}

/**
 * Makes the folder if it is missing, and takes it.
 * @throws STATE_CONFLICT if another server has it; PERMISSION_DENIED and kin
 */
export function openDataFolder(path: string): DataFolder {
  makeDirectories(Buffer.from(path));
  const lock = openFile(Buffer.from(join(path, 'lock')), { write: true, create: true });
  if (!lockFile(lock)) {
    closeFile(lock);
    throw new HoldfastError('STATE_CONFLICT', {
      message: `another server uses the folder ${JSON.stringify(path)}`,
      hint: 'Stop it, or name another folder with --data.',
    });
  }
  return {
    statePath: join(path, 'state.db'),
    keyPath: join(path, 'secret.key'),
    cachePath: join(path, 'cache'),
    close: () => closeFile(lock),
  };
}
