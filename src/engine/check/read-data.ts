import { availableParallelism } from 'node:os';
import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { describeError, isHoldfastError } from '../../base/errors.ts';
import { randomBelow, type Random } from '../../base/random.ts';
import { WorkerPool } from '../../kernels/worker-pool.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import type { Findings } from './findings.ts';
import type { CheckWorkerData, PackCheck, PackFindings } from './messages.ts';
import type { CheckMonitor, ReadData } from './options.ts';
import type { PackOrder } from './pack-order.ts';
import { noteDamagedCopy, type PackList } from './packs.ts';

const workerModule = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** What reading the data gives. */
export interface DataRead {
  readonly packsRead: number;
  readonly bytesRead: number;
}

interface PackParts {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly order: PackOrder;
  readonly packs: PackList;
  readonly findings: Findings;
}

type Pool = WorkerPool<PackCheck, PackFindings>;

/** Reads packs whole, in several threads, and reports what cannot be restored from them. */
export async function readPacks(
  parts: PackParts,
  choice: ReadData,
  context: EngineContext<CheckMonitor>,
): Promise<DataRead> {
  const chosen = choosePacks(parts, choice, context.environment.random);
  const sizeOf = (pack: number): number => parts.packs.sizes[pack] ?? 0;
  const bytesTotal = chosen.reduce((sum, pack) => sum + sizeOf(pack), 0);
  const workerCount = Math.min(Math.max(2, availableParallelism()), Math.max(1, chosen.length));
  const pool = await startPool(parts, workerCount, context);
  let packsRead = 0;
  let bytesRead = 0;
  try {
    // One pack more than threads: the next one is read from storage while they work.
    await forEachConcurrent(chosen, workerCount + 1, async (pack) => {
      await checkPack(parts, { pool, pack }, context);
      packsRead++;
      bytesRead += sizeOf(pack);
      const totals = { filesTotal: chosen.length, bytesTotal, currentItems: [] };
      const errorCount = parts.findings.errors.length;
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
  { repository, index, order }: PackParts,
  size: number,
  { environment }: EngineContext,
): Promise<Pool> {
  const workerData: CheckWorkerData = {
    index: index.share(),
    masterKey: repository.masterKey,
    entriesByPack: order.entriesBuffer,
    packStarts: order.startsBuffer,
  };
  return WorkerPool.start<PackCheck, PackFindings>(workerModule, { size, workerData, environment });
}

async function checkPack(
  parts: PackParts,
  { pool, pack }: { readonly pool: Pool; readonly pack: number },
  context: EngineContext<CheckMonitor>,
): Promise<void> {
  const { index, findings } = parts;
  const name = toHex(index.packId(pack));
  let found = await readAndCheck(parts, { pool, pack }, context);
  // Once more before it counts as damage: the first reading may have been garbled on its way.
  if (found.errors.length > 0) found = await readAndCheck(parts, { pool, pack }, context);
  if (found.errors.length === 0) return;
  findings.brokenPacks.add(name);
  for (const error of found.errors) findings.error(`pack ${name}`, error);
  for (const entry of found.damagedEntries) noteDamagedCopy(index, entry, findings);
}

async function readAndCheck(
  { repository, index, order }: PackParts,
  { pool, pack }: { readonly pool: Pool; readonly pack: number },
  { signal }: EngineContext,
): Promise<PackFindings> {
  const name = toHex(index.packId(pack));
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await repository.backend.get({ type: 'pack', name }, undefined, { signal });
  } catch (error) {
    if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
    const damagedEntries = Array.from(order.entriesOf(pack));
    return { type: 'pack', errors: [`it cannot be read: ${describeError(error)}`], damagedEntries };
  }
  return pool.run({ type: 'pack', pack, bytes }, [bytes.buffer], { signal });
}

/** Packs of the choice that are there, in random order for samples. */
function choosePacks({ index, packs }: PackParts, choice: ReadData, random: Random): number[] {
  const present: number[] = [];
  for (let pack = 0; pack < index.packCount; pack++) {
    if (packs.sizes[pack] !== undefined) present.push(pack);
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
