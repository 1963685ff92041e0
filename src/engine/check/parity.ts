import { toHex } from '../../base/bytes.ts';
import { describeError, endsWork } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Id } from '../../repository/id.ts';
import { listParity, loadParity } from '../../repository/parity.ts';
import { damagedParityCount, healPack, type ParityFile } from '../../repository/parity-file.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { readPack } from '../packs/read-pack.ts';
import type { Findings } from './findings.ts';

/** What is known of the packs already, and how much parity is to be read. */
export interface ParityCheck {
  readonly findings: Findings;
  readonly index: BlobIndex;
  /** Read all parity, not only that of broken packs. */
  readonly readsAll: boolean;
}

/**
 * Tells which broken packs their parity heals, how many packs have none though the repository is to have it, and with
 * `readsAll` which parity is damaged itself: hints, since nothing is lost yet. What packs have costs one listing.
 */
export async function checkParity(
  repository: Repository,
  { findings, index, readsAll }: ParityCheck,
  { signal }: EngineContext,
): Promise<readonly Id[]> {
  const healable: Id[] = [];
  const stored = await listParity(repository, { signal });
  const percent = await repository.parity.load({ signal });
  if (stored.size === 0 && percent === 0) return healable;
  if (percent === undefined) {
    findings.hint('the setting of parity is damaged: new packs get none');
  } else if (percent > 0) {
    tellWithoutParity({ index, stored, percent }, findings);
  }
  for (const id of stored.keys()) {
    const isBroken = findings.brokenPacks.has(id);
    if (!isBroken && !readsAll) continue;
    let parity: ParityFile | undefined;
    try {
      parity = await loadParity(repository, id, { signal });
    } catch (error) {
      if (endsWork(error)) throw error;
      findings.hint(`parity of pack ${id}: ${describeError(error)}`);
    }
    if (!parity) continue;
    const count = damagedParityCount(parity);
    const { parityCount } = parity.shape;
    if (count > 0)
      findings.hint(`parity of pack ${id}: ${count} of ${parityCount} blocks are damaged`);
    else if (!parity.copiesAgree)
      findings.hint(`parity of pack ${id}: one of two copies of its head is damaged`);
    if (isBroken && (await heals(repository, parity, signal))) healable.push(id);
  }
  return healable;
}

/** Other programs store packs without it. */
function tellWithoutParity(
  {
    index,
    stored,
    percent,
  }: {
    readonly index: BlobIndex;
    readonly stored: ReadonlyMap<Id, number>;
    readonly percent: number;
  },
  findings: Findings,
): void {
  let count = 0;
  for (let pack = 0; pack < index.packCount; pack++) {
    if (!stored.has(toHex(index.packId(pack)))) count++;
  }
  if (count === 0) return;
  findings.hint(
    `${count} of ${index.packCount} packs have no parity: "holdfast parity ${percent}" makes it`,
  );
}

async function heals(
  repository: Repository,
  parity: ParityFile,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const pack = await readPack(repository, parity.packId, { signal });
    return healPack(parity, pack?.bytes ?? new Uint8Array()).healed !== undefined;
  } catch (error) {
    if (endsWork(error)) throw error;
    return false;
  }
}
