import { releaseBuffer } from '../../base/release.ts';
import { usedMark } from '../trees/used-blobs.ts';
import type { PruneState } from './state.ts';

/** 1 at the first entry of each blob with a copy in a stored pack that is not among `going`. */
export function blobsThatStay(
  state: PruneState,
  going: ReadonlySet<number>,
): Uint8Array<ArrayBuffer> {
  const { index } = state.indexed;
  const stays = new Uint8Array(index.packCount);
  for (let pack = 0; pack < index.packCount; pack++) {
    stays[pack] = Number(!going.has(pack) && state.isStored(pack));
  }
  const isSafe = new Uint8Array(index.blobCount);
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (stays[index.packOf(entry)] === 1) isSafe[index.firstOf(entry)] = 1;
  }
  return isSafe;
}

/** Those of the packs `gone`, which are not stored, whose used blobs are all in stored packs: with them nothing was lost. */
export function replacedOf(state: PruneState, gone: ReadonlySet<number>): Set<number> {
  const replaced = new Set(gone);
  if (gone.size === 0) return replaced;
  const { index } = state.indexed;
  const isSafe = blobsThatStay(state, gone);
  for (let entry = 0; entry < index.blobCount; entry++) {
    const first = index.firstOf(entry);
    if (isSafe[first] !== 1 && state.used.has(first, usedMark))
      replaced.delete(index.packOf(entry));
  }
  releaseBuffer(isSafe.buffer);
  return replaced;
}

/**
 * Those of the packs `going` that nobody needs: every blob of theirs that is used has a copy in a stored pack that stays.
 * Where several could be kept for a blob, the first one is.
 */
export function unneededOf(state: PruneState, going: ReadonlySet<number>): Set<number> {
  const unneeded = new Set(going);
  if (going.size === 0) return unneeded;
  const { index } = state.indexed;
  const isSafe = blobsThatStay(state, going);
  for (let entry = 0; entry < index.blobCount; entry++) {
    const pack = index.packOf(entry);
    const first = index.firstOf(entry);
    if (isSafe[first] === 1 || !state.used.has(first, usedMark) || !state.isStored(pack)) continue;
    unneeded.delete(pack);
    isSafe[first] = 1;
  }
  releaseBuffer(isSafe.buffer);
  return unneeded;
}
