import type { PackedDirectory } from '../../platform/packed-scan.ts';
import type { PackedEntries, SourceListing, SourceProblem } from '../source.ts';
import type { DirectoryScope } from './directory-scope.ts';
import { FileEntry } from './file-entry.ts';

/** A directory of which nothing is left out and nothing is unusual. Its files become entries only if somebody asks. */
export class PackedListing implements SourceListing {
  readonly problems: readonly SourceProblem[] = [];
  readonly vanished: readonly Uint8Array[] = [];
  readonly complete = true;
  readonly packed: PackedEntries & {
    readonly directories: readonly { readonly slot: number; readonly entry: FileEntry }[];
  };
  readonly #scope: DirectoryScope;
  #entries: FileEntry[] | undefined;

  constructor(
    directory: PackedDirectory,
    directories: ReturnType<PackedDirectory['directories']>,
    scope: DirectoryScope,
  ) {
    this.#scope = scope;
    this.packed = {
      directory,
      directories: directories.map(({ slot, name, status }) => {
        const facts = { status, linkTarget: undefined, extendedAttributes: [] };
        return { slot, entry: new FileEntry(name, facts, { scope }) };
      }),
    };
  }

  get entries(): FileEntry[] {
    this.#entries ??= this.#make();
    return this.#entries;
  }

  #make(): FileEntry[] {
    const { directory, directories } = this.packed;
    const scope = this.#scope;
    const entries = directory.entries.map(({ name, status, extendedAttributes }) => {
      // A scan that was packed has no errors in it.
      const facts = { status: status as FileEntry['status'], linkTarget: undefined };
      return new FileEntry(name, { ...facts, extendedAttributes }, { scope });
    });
    for (const { slot, entry } of directories) entries[slot] = entry;
    return entries;
  }
}
