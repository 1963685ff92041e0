import { describeError, endsWork } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { listParity, loadParity } from '../../repository/parity.ts';
import { damagedParityCount, healPack, type ParityFile } from '../../repository/parity-file.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { readPack } from '../packs/read-pack.ts';
import type { Findings } from './findings.ts';

/**
 * Tells which broken packs their parity heals, and with `readsAll` which parity is damaged itself: a hint, since
 * nothing is lost yet.
 */
export async function checkParity(
  repository: Repository,
  { findings, readsAll }: { readonly findings: Findings; readonly readsAll: boolean },
  { signal }: EngineContext,
): Promise<readonly Id[]> {
  const healable: Id[] = [];
  const stored = await listParity(repository, { signal });
  if (stored.size === 0 && (await repository.parity.load({ signal })) === 0) return healable;
  if ((await repository.parity.load({ signal })) === undefined) {
    findings.hint('the setting of parity is damaged: new packs get none');
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
