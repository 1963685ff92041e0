import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { applyPolicy, newestFirst } from './apply-policy.ts';
import type { RetentionPolicy } from './policy.ts';
import { type JudgedBy, type Unsoundness, unsoundnessOf } from './soundness.ts';

/** What a policy means for one snapshot. */
export interface Decision {
  readonly snapshot: StoredSnapshot;
  /** Why it is kept; none: it goes. */
  readonly reasons: readonly string[];
  /** Why it takes no place from others; absent for a sound one. */
  readonly unsound?: Unsoundness;
}

/** True if there is a reason to keep it. */
export function isKept({ reasons }: Decision): boolean {
  return reasons.length > 0;
}

/**
 * Decides which snapshots of one group are kept. The policy is applied twice: to all of them, as restic does, and to the
 * sound ones alone; what either keeps is kept. So nothing goes that restic would keep, and a snapshot that is incomplete,
 * damaged, from the future or dated by hand never takes the place of a sound one, however many of them there are.
 *
 * @returns newest first
 */
export function decide(
  snapshots: readonly StoredSnapshot[],
  policy: RetentionPolicy,
  judgedBy: JudgedBy,
): Decision[] {
  const all = newestFirst(snapshots);
  const unsound = all.map((snapshot) => unsoundnessOf(snapshot, judgedBy));
  const { now } = judgedBy;
  const reasons = applyPolicy(all, policy, now);
  const sound = all.filter((_, i) => unsound[i] === undefined);
  const soundReasons = sound.length < all.length ? applyPolicy(sound, policy, now) : [];
  let next = 0;
  return all.map((snapshot, i): Decision => {
    const own = reasons[i] ?? [];
    const kind = unsound[i];
    if (kind !== undefined) return { snapshot, reasons: own, unsound: kind };
    const more = (soundReasons[next++] ?? []).filter((reason) => !own.includes(reason));
    return {
      snapshot,
      reasons: [...own, ...more.map((reason) => `${reason} (of the sound ones)`)],
    };
  });
}
