import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

import { systemCode } from '../../base/errors.ts';

/** Keys and lists of known hosts are small; what is larger is something else, such as a device without end. */
const sizeBytesMax = 16 << 20;

/** Content of a file of the user's own; undefined if there is none that can be read. */
export async function readOwnFile(file: string): Promise<string | undefined> {
  try {
    const status = await stat(file);
    if (!status.isFile() || status.size > sizeBytesMax) return undefined;
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Adds a line to a file of the user's own, which is made if it is not there. @throws system errors */
export async function appendOwnLine(file: string, line: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const before = await readOwnFile(file);
  const isOpenEnded = before !== undefined && before !== '' && !before.endsWith('\n');
  await appendFile(file, `${isOpenEnded ? '\n' : ''}${line}\n`, { mode: 0o600 });
}
