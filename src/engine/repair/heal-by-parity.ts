import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { loadParity } from '../../repository/parity.ts';
import { healPack, type ParityFile } from '../../repository/parity-file.ts';
import { type PackedBlobs, readPackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { readPack } from '../packs/read-pack.ts';

/**
 * Puts a pack back as it was, if its parity can: the result has the hash that is its name. It takes the place of the
 * damaged file at once where the storage can do that.
 * @param bytes the damaged pack; empty if it is gone
 * @returns what it holds; undefined if there is no parity, or more is lost than that makes up for
 * @throws VERIFY_FAILED if the storage does not give the healed pack back
 */
export async function healByParity(
  repository: Repository,
  pack: { readonly id: Id; readonly bytes: Uint8Array },
  { monitor, signal }: EngineContext,
): Promise<PackedBlobs | undefined> {
  const { id, bytes } = pack;
  let parity: ParityFile | undefined;
  try {
    parity = await loadParity(repository, id, { signal });
  } catch (error) {
    if (!isHoldfastError(error, 'PARITY_DAMAGED')) throw error;
    monitor.problem({ item: `pack ${id}`, during: 'check', error });
  }
  if (!parity) return undefined;
  const { healed, lostBlockCount, parityBlockCount } = healPack(parity, bytes);
  if (!healed) {
    monitor.note(
      `parity of pack ${id} makes up for ${parityBlockCount} blocks, but ${lostBlockCount} are damaged`,
    );
    return undefined;
  }
  const blobs = readPackedBlobs(healed, repository.sealer);
  const handle = { type: 'pack', name: id } as const;
  await repository.backend.put(handle, [healed], { signal, replace: true });
  const stored = await readPack(repository, id, { signal });
  if (stored?.isWhole) return blobs;
  throw new HoldfastError('VERIFY_FAILED', {
    message: 'the storage does not give back the pack that was healed',
    details: { packId: id },
  });
}
