import type { Transferable } from 'node:worker_threads';
import type { FinishedPack } from '../../repository/pack.ts';
import type { PackSlots } from './pack-slots.ts';
import type { BlobType } from '../../repository/blob.ts';

/** A worker hands over a finished pack. */
export interface PackEvent {
  readonly type: 'pack';
  readonly id: string;
  /** Where the pack is: number of its slot, or its own bytes if it is larger than a slot. */
  readonly place: number | Uint8Array;
  readonly sizeBytes: number;
  readonly blobType: BlobType;
  readonly blobs: Uint8Array<ArrayBuffer>;
  /** Index entries of the blobs, in the order of `blobs`. */
  readonly entries: Int32Array<ArrayBuffer>;
}

/** What a worker says of a pack that it finished, and what goes with the message without a copy. */
export function packEvent(
  pack: FinishedPack,
  entries: Int32Array<ArrayBuffer>,
  slots: PackSlots,
): { readonly event: PackEvent; readonly transfer: readonly Transferable[] } {
  const blobs = pack.blobs.bytes;
  const slot = slots.slotOf(pack.bytes);
  const event: PackEvent = {
    type: 'pack',
    id: pack.id,
    place: slot < 0 ? pack.bytes : slot,
    sizeBytes: pack.bytes.byteLength,
    blobType: pack.type,
    blobs,
    entries,
  };
  // A pack beyond the size of a slot has memory of its own.
  const own = slot < 0 && pack.bytes.buffer instanceof ArrayBuffer ? [pack.bytes.buffer] : [];
  return { event, transfer: [blobs.buffer, entries.buffer, ...own] };
}
