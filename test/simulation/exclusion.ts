import type { LockKind } from '../../src/repository/locks.ts';

/** A lock that a process works under; `foreign`: a shared one of the other program. */
export type HeldKind = LockKind | 'foreign';

/** Who holds a lock, and where. */
export interface Holder {
  readonly place: { readonly store: { hasLockOf(owner: string): boolean } };
  readonly process: {
    readonly name: string;
    readonly time: { readonly isAlive: boolean };
    meet(what: 'crowded'): void;
  };
  readonly kind: HeldKind;
}

/**
 * Watches that no two work at once that exclude each other, where the locks of both are there: whose lock was removed as
 * left is no longer a holder, and must find out before it changes anything.
 */
export class Exclusion {
  readonly #holders = new Set<Holder>();

  /** Somebody removed the lock of a process, which must find that out before it changes anything. */
  lose(processName: string): void {
    for (const holder of this.#holders) {
      if (holder.process.name === processName) this.#holders.delete(holder);
    }
  }

  /** Somebody is sure of his lock from now on. @returns what breaks the rule, which both meet, and what ends the holding */
  enter(holder: Holder): { readonly conflict: string | undefined; readonly leave: () => void } {
    const conflict = [...this.#holders].find((other) => isConflict(holder, other));
    this.#holders.add(holder);
    if (conflict) for (const each of [holder, conflict]) each.process.meet('crowded');
    return {
      conflict:
        conflict &&
        `${holder.process.name} (${holder.kind}) works beside ${conflict.process.name} (${conflict.kind})`,
      leave: () => this.#holders.delete(holder),
    };
  }
}

function isConflict(one: Holder, other: Holder): boolean {
  if (one.place !== other.place || one.process === other.process) return false;
  if (!excludes(one.kind, other.kind) && !excludes(other.kind, one.kind)) return false;
  return [one, other].every(
    ({ process, place }) => process.time.isAlive && place.store.hasLockOf(process.name),
  );
}

function excludes(kind: HeldKind, other: HeldKind): boolean {
  switch (kind) {
    case 'exclusive':
      return true;
    case 'commit':
      return other === 'commit' || other === 'prune' || other === 'foreign';
    case 'prune':
      return other === 'prune';
    case 'shared':
    case 'publish':
    case 'foreign':
      return false;
  }
}
