import { storedPackSizes } from '../packs/stored-packs.ts';
import { toHex } from '../../base/bytes.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { shortId } from '../../repository/id.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import type { BlobDamage } from '../trees/blob-damage.ts';
import type { Findings } from './findings.ts';
import type { PackOrder } from '../packs/pack-order.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';

/** What comparing packs and index gives. */
export interface PackList {
  /** Size as stored, by pack number; undefined if it is missing. */
  readonly sizes: readonly (number | undefined)[];
}

/** What the comparison works with. */
export interface PackParts {
  readonly index: BlobIndex;
  readonly order: PackOrder;
  readonly findings: Findings;
  readonly damage: BlobDamage;
}

/** Compares the packs that are stored with those of the index: missing, of another size, mixed, not indexed. */
export async function comparePacks(
  repository: Repository,
  parts: PackParts,
  { signal }: EngineContext<PhaseMonitor>,
): Promise<PackList> {
  const { index, findings } = parts;
  const { sizes, expected, others } = await storedPackSizes(repository, index, { signal });
  for (const [pack, size] of sizes.entries()) {
    comparePack(parts, { pack, size, expected: expected[pack] ?? 0 });
  }
  for (const name of others.keys()) {
    findings.hint(`pack ${name} is not in any index`);
    findings.suggestPrune = true;
  }
  return { sizes };
}

function comparePack(
  { index, order, findings, damage }: PackParts,
  stored: {
    readonly pack: number;
    readonly size: number | undefined;
    readonly expected: number;
  },
): void {
  const { pack, size, expected } = stored;
  const name = toHex(index.packId(pack));
  const entries = order.entriesOf(pack);
  const types = new Set(Array.from(entries, (entry) => index.typeOf(entry)));
  if (types.size > 1) {
    findings.hint(`pack ${shortId(name)} holds both data and tree blobs`);
    findings.suggestPrune = true;
  }
  if (size === expected) return;
  findings.brokenPacks.add(name);
  findings.suggestRepairIndex = true;
  const text =
    size === undefined ? 'it is missing' : `it has ${size} bytes, by the index ${expected}`;
  findings.error(`pack ${name}`, text);
  // What lies beyond its end is lost; the files are named from it.
  for (const entry of entries) {
    if (index.offsetOf(entry) + index.lengthOf(entry) > (size ?? 0)) damage.addCopy(entry);
  }
}
