import type { FileHandle, FileVersion } from '../../storage/backend.ts';

/** A file and its versions. */
export interface Rescuable {
  readonly handle: FileHandle;
  /** The newest first. */
  readonly versions: readonly FileVersion[];
  /** Those with content, the newest first. */
  readonly contents: readonly FileVersion[];
}

/** Versions by file. @param versions those of one file together, its newest first */
export function groupVersions(versions: readonly FileVersion[]): Rescuable[] {
  const groups = new Map<string, { handle: FileHandle; all: FileVersion[] }>();
  for (const version of versions) {
    const { handle, path } = version;
    const group = groups.get(path);
    if (group) group.all.push(version);
    else groups.set(path, { handle, all: [version] });
  }
  return Array.from(groups.values(), ({ handle, all }) => ({
    handle,
    versions: all,
    contents: all.filter(({ kind }) => kind === 'content'),
  }));
}

/** Something was done to the file after it was stored. A second put of the same bytes is nothing. */
export function isDoubtful({ versions, contents }: Rescuable): boolean {
  if (versions[0]?.kind === 'removal') return true;
  const [first] = contents;
  // Parity may be made anew, in another share.
  if (contents.length < 2 || first?.handle.type === 'parity') return false;
  const marks = new Set(contents.map(({ contentMark }) => contentMark));
  return marks.size > 1 || first?.contentMark === '';
}
