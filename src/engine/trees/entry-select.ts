/** Decides about one entry; `path` is below the root of the walk, starts with `/`, raw bytes. */
export type EntrySelect = (
  path: Uint8Array,
  isDirectory: boolean,
) => {
  /** The entry itself. */
  readonly selected: boolean;
  /** Directories: something below may be selected. */
  readonly mayHoldSelected: boolean;
};
