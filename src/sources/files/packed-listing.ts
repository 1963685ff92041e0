import type { PackedDirectory } from '../../platform/packed-scan.ts';
import type { ExtendedAttribute, PackedEntries, SourceListing, SourceProblem } from '../source.ts';
import type { DirectoryScope } from './directory-scope.ts';
import { FileEntry } from './file-entry.ts';

const noAttributes: readonly ExtendedAttribute[] = [];

/**
 * A directory of which nothing is left out and nothing is unusual. Its files become entries only if somebody asks: anew each
 * time. The listing may be old when it is taken, and the engine collects old objects rarely: what they refer to lives as long.
 */
export class PackedListing implements SourceListing {
  readonly problems: readonly SourceProblem[] = [];
  readonly vanished: readonly Uint8Array[] = [];
  readonly complete = true;
  readonly packed: PackedEntries & {
    readonly directories: readonly { readonly slot: number; readonly entry: FileEntry }[];
  };
  readonly #scope: DirectoryScope;

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

  /** Made by the call, but for directories: whoever needs them twice keeps them. */
  get entries(): FileEntry[] {
    const { directory, directories } = this.packed;
    const place = { scope: this.#scope };
    const entries: FileEntry[] = [];
    directory.visit((name, status) => {
      const facts = { status, linkTarget: undefined, extendedAttributes: noAttributes };
      entries.push(new FileEntry(name, facts, place));
    });
    for (const { slot, entry } of directories) entries[slot] = entry;
    return entries;
  }
}
