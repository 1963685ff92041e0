import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { FileStatus, ScannedEntry } from '../../platform/system-calls.ts';
import type { TagPlace } from './directory-scan.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { PatternList, type PatternState } from './patterns.ts';

/** Which entries of a file source are left out. Sizes in bytes. */
export interface ExcludeOptions {
  /** `--exclude`, then the lines of `--exclude-file`. */
  readonly patterns?: readonly (string | Uint8Array)[];
  /** `--iexclude`, then the lines of `--iexclude-file`. */
  readonly patternsIgnoringCase?: readonly (string | Uint8Array)[];
  /** `NAME[:HEADER]` each: a directory that holds NAME (starting with HEADER) keeps nothing but NAME. */
  readonly ifPresent?: readonly string[];
  /** As if-present for directories marked as caches (bford.info/cachedir). */
  readonly caches?: boolean;
  /** Leaves out what is no directory and larger. */
  readonly largerThanBytes?: number;
  /** Stays on the file system of the nearest target above; mount points are kept, empty. */
  readonly oneFileSystem?: boolean;
}

/** What the pattern lists know about a directory. */
export interface RuleState {
  readonly exact: PatternState;
  readonly folded: PatternState;
}

/** A tag file that empties its directory. */
interface TagRule {
  readonly name: Uint8Array;
  readonly header: Uint8Array;
}

const cacheTag = 'CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55';

/**
 * The exclude rules of a backup.
 * @see docs/FORMAT.md
 */
export class ExcludeRules {
  readonly isOneFileSystem: boolean;
  /** The state of `/`. */
  readonly root: RuleState;
  readonly #exact: PatternList;
  readonly #folded: PatternList;
  readonly #hasPatterns: boolean;
  readonly #tags: readonly TagRule[];
  readonly #sizeBytesMax: number;

  /** @throws PATTERN_INVALID, USAGE */
  constructor(options: ExcludeOptions) {
    this.#exact = PatternList.parse(options.patterns ?? []);
    this.#folded = PatternList.parse(options.patternsIgnoringCase ?? [], { ignoreCase: true });
    this.#hasPatterns = !this.#exact.isEmpty || !this.#folded.isEmpty;
    this.root = { exact: this.#exact.root, folded: this.#folded.root };
    this.isOneFileSystem = options.oneFileSystem ?? false;
    this.#sizeBytesMax = options.largerThanBytes ?? Number.POSITIVE_INFINITY;
    const tags = [...(options.ifPresent ?? []), ...(options.caches ? [cacheTag] : [])];
    this.#tags = tags.map(parseTag);
  }

  /** The state of a directory's entry `name` as a directory. */
  descend(state: RuleState, name: Uint8Array): RuleState {
    if (!this.#hasPatterns) return state;
    const text = byteTextOf(name);
    const exact = this.#exact.descend(state.exact, text);
    const folded = this.#folded.descend(state.folded, text);
    return exact === state.exact && folded === state.folded ? state : { exact, folded };
  }

  /** True if a pattern excludes the entry `name` of the directory. */
  excludesName(state: RuleState, name: Uint8Array): boolean {
    if (!this.#hasPatterns) return false;
    const text = byteTextOf(name);
    return (
      this.#exact.matchesEntry(state.exact, text) || this.#folded.matchesEntry(state.folded, text)
    );
  }

  /** True if the patterns exclude a path below the directory, at any of the components. */
  excludesBelow(state: RuleState, components: readonly ByteText[]): boolean {
    let current = state;
    for (const component of components) {
      const name = bytesOf(component);
      if (this.excludesName(current, name)) return true;
      current = this.descend(current, name);
    }
    return false;
  }

  /** True if an entry's name alone decides whether it is left out. */
  get isByNameOnly(): boolean {
    return (
      this.#tags.length === 0 &&
      !this.isOneFileSystem &&
      this.#sizeBytesMax === Number.POSITIVE_INFINITY
    );
  }

  get hasPatterns(): boolean {
    return this.#hasPatterns;
  }

  excludesSize(status: FileStatus): boolean {
    return status.sizeBytes > this.#sizeBytesMax && status.kind !== 'directory';
  }

  /** The tag files whose content counts, and how much of it. */
  get tagStarts(): { readonly name: Uint8Array; readonly sizeBytes: number }[] {
    return this.#tags
      .filter((tag) => tag.header.length > 0)
      .map(({ name, header }) => ({ name, sizeBytes: header.length }));
  }

  /**
   * Names of the tag files in force in a directory. If there are any, only an entry whose name equals every one of
   * them stays.
   * @param onProblem hears of a tag file that does not count, because it is not what it should be
   */
  tagsIn(place: TagPlace, onProblem: (name: Uint8Array, why: string) => void): Uint8Array[] {
    if (this.#tags.length === 0) return [];
    return this.#tags
      .filter((tag) => {
        const entry = place.find(tag.name);
        if (entry === undefined) return false;
        const why = whyNotTagged(place, entry, tag.header);
        if (why !== undefined) onProblem(tag.name, why);
        return why === undefined;
      })
      .map((tag) => tag.name);
  }
}

function whyNotTagged(
  place: Pick<TagPlace, 'start'>,
  entry: ScannedEntry,
  header: Uint8Array,
): string | undefined {
  if (entry.status instanceof HoldfastError) return 'cannot be read';
  // The mere presence counts, whatever it is.
  if (header.length === 0) return undefined;
  if (entry.status.kind !== 'file') return 'is not a regular file';
  try {
    const start = place.start(entry.name, header.length);
    return equalBytes(start, header) ? undefined : 'does not start with the signature asked for';
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return 'cannot be read';
  }
}

function parseTag(text: string): TagRule {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === '' || name.includes('/')) {
    throw new HoldfastError('USAGE', {
      message:
        'the value of --exclude-if-present must be NAME or NAME:HEADER, NAME without a slash',
      details: { value: text },
    });
  }
  return { name: Buffer.from(name), header: Buffer.from(colon < 0 ? '' : text.slice(colon + 1)) };
}
