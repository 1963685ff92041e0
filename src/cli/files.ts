import { writeFileAtomic } from '../platform/whole-file.ts';

/** Permissions of files that commands write for the user. */
const outputFileMode = 0o644;

/** Writes a file for the user, whole or not at all. */
export function writeOutputFile(path: string, bytes: Uint8Array): void {
  writeFileAtomic(Buffer.from(path), bytes, outputFileMode);
}
