import { throwIfAborted } from '../base/abort.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Id } from '../repository/id.ts';
import { listParity, loadParity, storeParity } from '../repository/parity.ts';
import { damagedParityCount, parityFileSizeBytes } from '../repository/parity-file.ts';
import type { Repository } from '../repository/repository.ts';
import type { EngineContext } from './context.ts';
import { readPack } from './packs/read-pack.ts';
import type { PhaseMonitor } from '../base/monitor.ts';

/** How much parity a repository has. */
export interface ParityStatus {
  /** Of new packs; undefined if the setting is damaged. */
  readonly percent: number | undefined;
  readonly packCount: number;
  /** Packs that have parity, of whatever share. */
  readonly coveredCount: number;
  readonly paritySizeBytes: number;
}

export interface ParityUpdate {
  readonly madeCount: number;
  readonly removedCount: number;
  /** Packs whose content is not what their name says: parity of that would keep the damage. */
  readonly damagedPacks: readonly Id[];
}

export async function loadParityStatus(
  repository: Repository,
  { signal }: EngineContext,
): Promise<ParityStatus> {
  const stored = await listParity(repository, { signal });
  let packCount = 0;
  let coveredCount = 0;
  let paritySizeBytes = 0;
  for await (const { name } of repository.backend.list('pack', { signal })) {
    packCount++;
    if (stored.has(name)) coveredCount++;
  }
  for (const sizeBytes of stored.values()) paritySizeBytes += sizeBytes;
  const percent = await repository.parity.load({ signal });
  return { percent, packCount, coveredCount, paritySizeBytes };
}

/**
 * Remembers how much parity packs are to have, and gives it to all that have another share or none, or whose parity is
 * damaged: all parity is read, and each pack that gets some is read and proven before. Goes on where it was stopped.
 * @param percent 0: removes all parity
 */
export async function updateParity(
  repository: Repository,
  percent: number,
  context: EngineContext<PhaseMonitor>,
): Promise<ParityUpdate> {
  const { monitor, signal } = context;
  await repository.parity.save(percent, { signal });
  const stored = await listParity(repository, { signal });
  if (percent === 0) return { ...none, removedCount: await removeAll(repository, stored, context) };
  const missing: Id[] = [];
  for await (const { name, sizeBytes } of repository.backend.list('pack', { signal })) {
    if (sizeBytes === 0) continue;
    const isUsual = stored.get(name) === parityFileSizeBytes(sizeBytes, percent);
    if (!isUsual || !(await isWhole(repository, name, context))) missing.push(name);
  }
  const damagedPacks: Id[] = [];
  let madeCount = 0;
  for (const id of missing) {
    throwIfAborted(signal);
    if (await makeParity(repository, { id, percent }, context)) madeCount++;
    else damagedPacks.push(id);
    const totals = { filesTotal: missing.length, bytesDone: 0, currentItems: [] };
    const errorCount = damagedPacks.length;
    monitor.progress({ ...totals, filesDone: madeCount + errorCount, errorCount });
  }
  return { madeCount, removedCount: 0, damagedPacks };
}

async function isWhole(
  repository: Repository,
  id: Id,
  { signal }: EngineContext,
): Promise<boolean> {
  try {
    const parity = await loadParity(repository, id, { signal });
    return parity?.copiesAgree === true && damagedParityCount(parity) === 0;
  } catch (error) {
    if (!isHoldfastError(error, 'PARITY_DAMAGED')) throw error;
    return false;
  }
}

const none: ParityUpdate = { madeCount: 0, removedCount: 0, damagedPacks: [] };

/** @returns false if the pack is damaged or gone, which was told */
async function makeParity(
  repository: Repository,
  { id, percent }: { readonly id: Id; readonly percent: number },
  { monitor, signal }: EngineContext,
): Promise<boolean> {
  const read = await readPack(repository, id, { signal });
  if (read?.isWhole) {
    await storeParity(repository, { id, bytes: read.bytes, percent }, { signal });
    return true;
  }
  const message = read ? 'a pack is damaged: it gets no parity' : 'a pack is gone';
  const error = new HoldfastError('PACK_DAMAGED', { message });
  monitor.problem({ item: `pack ${id}`, during: 'check', error });
  return false;
}

async function removeAll(
  repository: Repository,
  stored: ReadonlyMap<Id, number>,
  { signal }: EngineContext,
): Promise<number> {
  for (const name of stored.keys()) {
    try {
      await repository.backend.remove({ type: 'parity', name }, { signal });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }
  return stored.size;
}
