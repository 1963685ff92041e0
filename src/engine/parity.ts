import { throwIfAborted } from '../base/abort.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Id, idBytes } from '../repository/id.ts';
import { loadIndex } from '../repository/index-load.ts';
import { listParity, loadParity, storeParity } from '../repository/parity.ts';
import { damagedParityCount, parityFileSizeBytes } from '../repository/parity-file.ts';
import type { Repository } from '../repository/repository.ts';
import type { EngineContext } from './context.ts';
import { type ReadPack, readPack } from './packs/read-pack.ts';
import type { Monitor, PhaseMonitor } from '../base/monitor.ts';
import type { CallOptions } from '../storage/backend.ts';

/** How much parity a repository has. */
export interface ParityStatus {
  /** Of new packs; undefined if the setting is damaged. */
  readonly percent: number | undefined;
  readonly packCount: number;
  /** Packs that have parity, of whatever share. */
  readonly coveredCount: number;
  readonly paritySizeBytes: number;
}

/** What changed: packs that got parity, parity files that were removed, and packs that can get none. */
export interface ParityUpdate {
  readonly madeCount: number;
  readonly removedCount: number;
  /** Packs whose content is not what their name says: parity of that would keep the damage. Or the index lists them, and
   * they are gone. */
  readonly damagedPacks: readonly Id[];
}

/**
 * Looks at names and sizes only: two listings and the setting; no parity is read.
 * @throws what the backend throws
 */
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
  const gone: Id[] = [];
  let madeCount = 0;
  for (const id of missing) {
    throwIfAborted(signal);
    const outcome = await makeParity(repository, { id, percent }, context);
    if (outcome === 'made') madeCount++;
    else (outcome === 'gone' ? gone : damagedPacks).push(id);
    const totals = { filesTotal: missing.length, bytesDone: 0, currentItems: [] };
    const errorCount = damagedPacks.length;
    const filesDone = madeCount + gone.length + errorCount;
    monitor.progress({ ...totals, filesDone, errorCount });
  }
  damagedPacks.push(...(await lostOf(repository, gone, context)));
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

/** @returns `damaged`: which was told; `gone`: it was listed, but is not there any more */
async function makeParity(
  repository: Repository,
  { id, percent }: { readonly id: Id; readonly percent: number },
  { monitor, signal }: EngineContext,
): Promise<'made' | 'damaged' | 'gone'> {
  const read = await readIfThere(repository, id, { signal });
  if (!read) return 'gone';
  if (read.isWhole) {
    await storeParity(repository, { id, bytes: read.bytes, percent }, { signal });
    return 'made';
  }
  tellDamage(monitor, id, 'a pack is damaged: it gets no parity');
  return 'damaged';
}

/** Undefined also for a pack that is removed between the question for its size and the reading. */
async function readIfThere(
  repository: Repository,
  id: Id,
  options: CallOptions,
): Promise<ReadPack | undefined> {
  try {
    return await readPack(repository, id, options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    return undefined;
  }
}

/**
 * Tells of packs that are gone since they were listed. Those that a prune deleted meanwhile, no index file lists any more:
 * it lets go of them first. The others are lost, or may be where an index file cannot be read.
 * @returns the lost ones
 */
async function lostOf(
  repository: Repository,
  gone: readonly Id[],
  { monitor, signal }: EngineContext,
): Promise<Id[]> {
  if (gone.length === 0) return [];
  let isIndexWhole = true;
  const onProblem = (): void => void (isIndexWhole = false);
  const index = await loadIndex(repository, { signal, onProblem });
  const lost = gone.filter((id) => !isIndexWhole || index.findPack(idBytes(id)) >= 0);
  for (const id of lost) tellDamage(monitor, id, 'a pack is gone');
  const deletedCount = gone.length - lost.length;
  if (deletedCount > 0) {
    monitor.note(`${deletedCount} packs were deleted meanwhile, as by a prune: nobody needs them`);
  }
  return lost;
}

function tellDamage(monitor: Monitor, id: Id, message: string): void {
  const error = new HoldfastError('PACK_DAMAGED', { message });
  monitor.problem({ item: `pack ${id}`, during: 'check', error });
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
