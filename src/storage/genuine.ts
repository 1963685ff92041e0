import { createHash } from 'node:crypto';

import type { CallOptions, FileVersion, Versions } from './backend.ts';

/** A version that was read, with its content. */
export interface GenuineVersion {
  readonly version: FileVersion;
  readonly content: Uint8Array<ArrayBuffer>;
}

/**
 * The newest version of a file that holds the bytes which the file is named after.
 *
 * @param candidates versions of one file, the newest first
 * @returns undefined if none does
 */
export async function findGenuine(
  versions: Versions,
  candidates: Iterable<FileVersion>,
  options?: CallOptions,
): Promise<GenuineVersion | undefined> {
  for (const version of candidates) {
    if (version.kind !== 'content') continue;
    const content = await versions.get(version, options);
    const hash = createHash('sha256').update(content).digest('hex');
    if (hash === version.handle.name) return { version, content };
  }
  return undefined;
}
