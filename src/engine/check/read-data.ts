import { usefulThreadCount, workerModule } from '../../base/worker-module.ts';
import { packSizeBytesMax } from '../packs/read-pack.ts';
import { assert, defined } from '../../base/assert.ts';
import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { describeError, endsWork, isHoldfastError } from '../../base/errors.ts';
import { randomBelow, type Random } from '../../base/random.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import { readings } from '../../repository/readings.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import type { BlobMarks } from '../trees/blob-marks.ts';
import { thawPacks } from '../packs/thaw-packs.ts';
import type { PackContent } from '../packs/pack-content.ts';
import type { CheckWorkerData, PackCheck, PackFindings, PackUnread } from './messages.ts';
import type { ReadData } from './options.ts';
import type { PackList, PackParts } from './packs.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';

const moduleAddress = workerModule('./worker.ts', import.meta.url);

/** What reading the data gives. */
export interface DataRead {
  readonly packsRead: number;
  readonly bytesRead: number;
}

/** What reading works with. */
export interface ReadParts extends PackParts {
  readonly repository: Repository;
  readonly packs: PackList;
  /** Blobs whose packs are to be read; absent: all. */
  readonly only?: BlobMarks;
}

type Pool = WorkerPool<PackCheck, PackFindings | PackUnread>;

/** Reads packs whole, in several threads, and reports what cannot be restored from them. */
export async function readPacks(
  parts: ReadParts,
  choice: ReadData,
  context: EngineContext<PhaseMonitor>,
): Promise<DataRead> {
  const chosen = choosePacks(parts, choice, context.environment.random);
  await thawPacks(parts, chosen, context);
  const sizeOf = (pack: number): number => parts.packs.sizes[pack] ?? 0;
  const bytesTotal = chosen.reduce((sum, pack) => sum + sizeOf(pack), 0);
  const workerCount = Math.min(usefulThreadCount(), Math.max(1, chosen.length));
  const pool = await startPool(parts, workerCount, context);
  let packsRead = 0;
  let bytesRead = 0;
  try {
    // Each thread has its next pack at hand, and need not wait for this one, which follows trees meanwhile.
    await forEachConcurrent(chosen, 2 * workerCount, async (pack) => {
      await checkPack(parts, { pool, pack }, context);
      packsRead++;
      bytesRead += sizeOf(pack);
      const totals = { filesTotal: chosen.length, bytesTotal, currentItems: [] };
      const errorCount = parts.findings.errorCount;
      context.monitor.progress({
        ...totals,
        errorCount,
        filesDone: packsRead,
        bytesDone: bytesRead,
      });
    });
  } finally {
    await pool.close();
  }
  return { packsRead, bytesRead };
}

function startPool(
  { repository, index, order }: ReadParts,
  size: number,
  { environment }: EngineContext,
): Promise<Pool> {
  const workerData: CheckWorkerData = {
    index: index.share(),
    masterKey: repository.masterKey,
    entriesByPack: order.entriesBuffer,
    packStarts: order.startsBuffer,
  };
  return WorkerPool.start(moduleAddress, { size, workerData, environment });
}

async function checkPack(
  parts: ReadParts,
  { pool, pack }: { readonly pool: Pool; readonly pack: number },
  context: EngineContext<PhaseMonitor>,
): Promise<void> {
  const { index, findings, damage, packs } = parts;
  const name = toHex(index.packId(pack));
  if ((packs.sizes[pack] ?? 0) > packSizeBytesMax) {
    findings.brokenPacks.add(name);
    findings.error(`pack ${name}`, 'it is far too large and is not read');
    return;
  }
  let found: PackFindings;
  try {
    found = await checkReadings(parts, { pool, pack }, context);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_ARCHIVED')) throw error;
    findings.error(`pack ${name}`, 'it stands in an archive and was not read');
    return;
  }
  if (found.errors.length === 0) return;
  findings.brokenPacks.add(name);
  for (const error of found.errors) findings.error(`pack ${name}`, error);
  for (const entry of found.damagedEntries) damage.addCopy(entry);
}

/** What the last reading found; the first one without errors is enough. */
async function checkReadings(
  parts: ReadParts,
  request: { readonly pool: Pool; readonly pack: number },
  context: EngineContext,
): Promise<PackFindings> {
  let found: PackFindings | undefined;
  for (const { fresh } of readings) {
    found = await readAndCheck(parts, { ...request, fresh }, context);
    if (found.errors.length === 0) break;
  }
  return defined(found, 'a pack is read');
}

async function readAndCheck(
  { repository, index, order }: ReadParts,
  { pool, pack, fresh }: { readonly pool: Pool; readonly pack: number; readonly fresh: boolean },
  { signal }: EngineContext,
): Promise<PackFindings> {
  const name = toHex(index.packId(pack));
  const path = fresh ? undefined : repository.packPath(name);
  if (path !== undefined) {
    const content: PackContent = { kind: 'file', path };
    const found = await pool.run({ type: 'pack', pack, content }, [], { signal });
    if (found.type === 'pack') return found;
  }
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await repository.backend.get({ type: 'pack', name }, undefined, { signal, fresh });
  } catch (error) {
    if (endsWork(error)) throw error;
    // Nothing is known of it: to call it damaged would have it repaired.
    if (isHoldfastError(error, 'FILE_ARCHIVED')) throw error;
    const damagedEntries = Array.from(order.entriesOf(pack));
    return { type: 'pack', errors: [`it cannot be read: ${describeError(error)}`], damagedEntries };
  }
  const content: PackContent = { kind: 'bytes', bytes, start: 0 };
  const found = await pool.run({ type: 'pack', pack, content }, [bytes.buffer], { signal });
  assert(found.type === 'pack', 'bytes need not be read');
  return found;
}

/** Packs of the choice that are there, in random order for samples. */
function choosePacks(parts: ReadParts, choice: ReadData, random: Random): number[] {
  const { index, packs } = parts;
  const isWanted = wantedPacks(parts);
  const present: number[] = [];
  for (let pack = 0; pack < index.packCount; pack++) {
    if (packs.sizes[pack] !== undefined && isWanted(pack)) present.push(pack);
  }
  switch (choice.kind) {
    case 'all':
      return present;
    case 'part':
      return present.filter(
        (pack) => (index.packId(pack)[0] ?? 0) % choice.total === choice.part - 1,
      );
    case 'percent': {
      const count = Math.max(1, Math.round((present.length * choice.percent) / 100));
      return shuffled(present, random).slice(0, count);
    }
    case 'size': {
      let left = choice.sizeBytes;
      return shuffled(present, random).filter((pack) => {
        const take = left > 0;
        if (take) left -= packs.sizes[pack] ?? 0;
        return take;
      });
    }
  }
}

/** Which packs hold blobs that are to be read. */
function wantedPacks({ index, only }: ReadParts): (pack: number) => boolean {
  if (!only) return () => true;
  const wanted = new Uint8Array(index.packCount);
  for (const { entry } of only.marked()) {
    const copies = index.findAll(index.typeOf(entry), index.idOf(entry));
    for (const copy of copies) wanted[index.packOf(copy)] = 1;
  }
  return (pack) => wanted[pack] === 1;
}

function shuffled(packs: readonly number[], random: Random): number[] {
  const result = [...packs];
  for (let i = result.length - 1; i > 0; i--) {
    const j = randomBelow(random, i + 1);
    const [a, b] = [result[i] ?? 0, result[j] ?? 0];
    result[i] = b;
    result[j] = a;
  }
  return result;
}
