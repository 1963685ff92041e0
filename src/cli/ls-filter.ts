import { compareBytes } from '../base/bytes.ts';
import { splitSnapshotPath } from '../engine/trees/snapshot-path.ts';

/** What to do with an entry of a listing. */
export interface LsDecision {
  readonly isShown: boolean;
  readonly mayEnter: boolean;
}

const everything: LsDecision = { isShown: true, mayEnter: true };

/** The folders that are given to `ls`: they and what lies directly in them, or anywhere below. */
export class LsFilter {
  readonly #folders: readonly (readonly Uint8Array[])[];
  readonly #recursive: boolean;

  /** @param folders paths, taken apart; none means everything */
  constructor(folders: readonly (readonly Uint8Array[])[], recursive: boolean) {
    this.#folders = folders;
    this.#recursive = recursive;
  }

  test(path: Uint8Array): LsDecision {
    if (this.#folders.length === 0) return everything;
    const parts = splitSnapshotPath(path);
    let isShown = false;
    let mayEnter = false;
    for (const folder of this.#folders) {
      const common = Math.min(folder.length, parts.length);
      if (!startsAlike(folder, parts, common)) continue;
      const below = parts.length - folder.length;
      if (below === 0 || below === 1 || (below > 1 && this.#recursive)) isShown = true;
      if (below <= 0 || this.#recursive) mayEnter = true;
    }
    return { isShown, mayEnter };
  }
}

function startsAlike(a: readonly Uint8Array[], b: readonly Uint8Array[], count: number): boolean {
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[i], b[i]];
    if (!x || !y || compareBytes(x, y) !== 0) return false;
  }
  return true;
}
