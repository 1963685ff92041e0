import { toHex } from '../../base/bytes.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { shortId } from '../../repository/id.ts';
import { packSizeOf } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { statPack } from '../stat-pack.ts';
import type { BlobDamage } from './blob-damage.ts';
import type { Findings } from './findings.ts';
import type { CheckMonitor } from './options.ts';
import type { PackOrder } from './pack-order.ts';

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

/**
 * Compares the packs that are stored with those of the index: missing, of another size, mixed, not indexed.
 *
 * A pack that the listing lacks is asked for by name before it counts as missing.
 */
export async function comparePacks(
  repository: Repository,
  parts: PackParts,
  context: EngineContext<CheckMonitor>,
): Promise<PackList> {
  const { index, findings } = parts;
  const stored = await listPacks(repository, context);
  const sizes: (number | undefined)[] = [];
  for (let pack = 0; pack < index.packCount; pack++) {
    const name = toHex(index.packId(pack));
    const size = stored.get(name) ?? (await statPack(repository, name, context));
    stored.delete(name);
    sizes.push(size);
    comparePack(parts, { pack, name, size });
  }
  for (const name of stored.keys()) {
    findings.hint(`pack ${name} is not in any index`);
    findings.suggestPrune = true;
  }
  return { sizes };
}

async function listPacks(
  repository: Repository,
  { signal }: EngineContext<CheckMonitor>,
): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, sizeBytes } of repository.backend.list('pack', { signal })) {
    sizes.set(name, sizeBytes);
  }
  return sizes;
}

function comparePack(
  { index, order, findings, damage }: PackParts,
  stored: { readonly pack: number; readonly name: string; readonly size: number | undefined },
): void {
  const { pack, name, size } = stored;
  const entries = order.entriesOf(pack);
  const blobs = Array.from(entries, (entry) => ({
    length: index.lengthOf(entry),
    uncompressedLength: index.uncompressedLengthOf(entry),
  }));
  const expected = packSizeOf(blobs);
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
