import { isHoldfastError } from '../base/errors.ts';
import { type CallOptions, getIfThere } from '../storage/backend.ts';
import type { Id } from './id.ts';
import { decodeParityFile, encodeParityFile, type ParityFile } from './parity-file.ts';
import { paritySettingName } from './parity-setting.ts';
import type { Repository } from './repository.ts';
import { putConfirmed } from './unpacked.ts';

/**
 * Stores a pack, confirmed, and its parity if the repository wants parity.
 * @param holdsTrees as of its handle: a storage may put it elsewhere than data, and a cache keeps it
 * @param bytes not changed until this returns
 * @throws as `putConfirmed`
 */
export async function storePack(
  repository: Repository,
  pack: { readonly id: Id; readonly bytes: Uint8Array; readonly holdsTrees: boolean },
  options: CallOptions,
): Promise<void> {
  const { id, bytes, holdsTrees } = pack;
  await putConfirmed(repository.backend, { type: 'pack', name: id, holdsTrees, bytes }, options);
  const percent = await repository.parity.percent(options);
  if (percent > 0) await storeParity(repository, { id, bytes, percent }, options);
}

/** Stores the parity of a whole pack, in place of what there is. */
export async function storeParity(
  repository: Repository,
  pack: { readonly id: Id; readonly bytes: Uint8Array; readonly percent: number },
  options: CallOptions,
): Promise<void> {
  const { id, bytes, percent } = pack;
  const file = encodeParityFile(id, bytes, percent);
  const handle = { type: 'parity', name: id } as const;
  await repository.backend.put(handle, [file], { ...options, replace: true });
}

/** The parity of a pack; undefined if there is none. @throws PARITY_DAMAGED if nothing can be had of it */
export async function loadParity(
  repository: Repository,
  id: Id,
  options: CallOptions,
): Promise<ParityFile | undefined> {
  const file = await getIfThere(repository.backend, { type: 'parity', name: id }, options);
  return file && decodeParityFile(id, file);
}

/** Sizes of all parity files by the ids of their packs. One listing: empty where nobody uses parity. */
export async function listParity(
  repository: Repository,
  options: CallOptions,
): Promise<Map<Id, number>> {
  const sizes = new Map<Id, number>();
  for await (const { name, sizeBytes } of repository.backend.list('parity', options)) {
    if (name !== paritySettingName) sizes.set(name, sizeBytes);
  }
  return sizes;
}

/** Removes the parity of packs that were removed, where there is any. To be called once for many packs. */
export async function removeParity(
  repository: Repository,
  packs: Iterable<Id>,
  options: CallOptions,
): Promise<void> {
  const stored = await listParity(repository, options);
  if (stored.size === 0) return;
  for (const id of packs) {
    if (!stored.has(id)) continue;
    try {
      await repository.backend.remove({ type: 'parity', name: id }, options);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }
}
