import { formatBytes, toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { durationText } from '../../base/duration.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Repository } from '../../repository/repository.ts';
import {
  type FileHandle,
  type ThawingFile,
  thawPauseMs,
  type ThawTerms,
} from '../../storage/backend.ts';
import type { EngineContext } from '../context.ts';

/** Where the packs are. */
export interface ThawParts {
  readonly repository: Repository;
  readonly index: BlobIndex;
}

interface WaitingPack {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly thawing: ThawingFile;
}

/** All were asked for at once: where so many are not back, the others need not be asked about. */
const stillAwayMax = 16;
const tellEveryMs = 30 * 60_000;

/**
 * Has packs brought back from an archive, all of them at once, and waits until every one can be read. Does nothing on a storage that
 * has no archive, or that was not told to.
 *
 * Tells the monitor how many there are, how long that may take, and now and then how far it is. Holds no connection while
 * it waits. Called again after an interruption, it finds what was asked for and what is back. Packs that are gone are
 * left to who reads them.
 * @param packs numbers of the index
 * @throws FILE_ARCHIVED if they are not back in time; CANCELLED, and what the storage refuses
 */
export async function thawPacks(
  parts: ThawParts,
  packs: Iterable<number>,
  context: EngineContext,
): Promise<void> {
  const { backend } = parts.repository;
  const { thawing: terms } = backend;
  if (!terms) return;
  const { clock } = context.environment;
  const wanted = [...packs];
  let waiting = await askForAll(parts, wanted, context);
  if (waiting.length === 0) return;
  const startedMs = clock.monotonicMs();
  for (const text of planOf(waiting, wanted.length, terms)) context.monitor.note(text);
  const total = waiting.length;
  let toldMs = 0;
  while (waiting.length > 0) {
    const waitedMs = clock.monotonicMs() - startedMs;
    const pauseMs = thawPauseMs(waitedMs);
    if (waitedMs + pauseMs > terms.waitMsMax) throw notInTime(waiting, total, terms);
    if (waitedMs - toldMs >= tellEveryMs) {
      const back = `${total - waiting.length} of ${total} packs are back`;
      context.monitor.note(`${back} after ${durationText(waitedMs)}; waiting on`);
      toldMs = waitedMs;
    }
    await clock.sleep(pauseMs, context.signal);
    waiting = await stillAway(parts, waiting, context);
  }
  const tookMs = clock.monotonicMs() - startedMs;
  context.monitor.note(`all packs are back from the archive after ${durationText(tookMs)}`);
}

/** Asks for every pack, and gives those that cannot be read yet. */
async function askForAll(
  { repository, index }: ThawParts,
  packs: readonly number[],
  { signal }: EngineContext,
): Promise<WaitingPack[]> {
  const { backend } = repository;
  const sizes = packSizes(index, new Set(packs));
  const waiting: WaitingPack[] = [];
  await forEachConcurrent(packs, backend.connectionCount, async (pack) => {
    const handle = { type: 'pack', name: toHex(index.packId(pack)) } as const;
    const thawing = await thawIfThere(repository, handle, signal);
    if (thawing) waiting.push({ handle, sizeBytes: sizes.get(pack) ?? 0, thawing });
  });
  return waiting;
}

async function thawIfThere(
  { backend }: Repository,
  handle: FileHandle,
  signal: AbortSignal | undefined,
): Promise<ThawingFile | undefined> {
  try {
    return await backend.thaw?.(handle, { signal });
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Asks about the packs in turn, until it is clear that the others are away as well. */
async function stillAway(
  { repository }: ThawParts,
  waiting: readonly WaitingPack[],
  { signal }: EngineContext,
): Promise<WaitingPack[]> {
  const away: WaitingPack[] = [];
  for (const [i, pack] of waiting.entries()) {
    if (away.length >= stillAwayMax) return [...away, ...waiting.slice(i)];
    if (await thawIfThere(repository, pack.handle, signal)) away.push(pack);
  }
  return away;
}

/** Stored bytes of the blobs of each pack, which is nearly all of it. */
function packSizes(index: BlobIndex, packs: ReadonlySet<number>): Map<number, number> {
  const sizes = new Map<number, number>();
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (index.isPending(entry)) continue;
    const pack = index.packOf(entry);
    if (packs.has(pack)) sizes.set(pack, (sizes.get(pack) ?? 0) + index.lengthOf(entry));
  }
  return sizes;
}

/** What there is to wait for, in lines. */
function planOf(
  waiting: readonly WaitingPack[],
  wantedCount: number,
  { tier, days }: ThawTerms,
): string[] {
  const bytes = formatBytes(waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const classes = [...new Set(waiting.map(({ thawing }) => thawing.storageClass))].join(', ');
  const newCount = waiting.filter(({ thawing }) => thawing.isNew).length;
  const asked =
    newCount === waiting.length
      ? 'they were asked for'
      : `${newCount} were asked for, the others had been before,`;
  const times = waiting.map(({ thawing }) => thawing.expectedMs);
  const known = times.filter((ms) => ms !== undefined);
  const time =
    known.length < times.length
      ? 'how long that takes is not known'
      : `by Amazon's description that takes up to ${durationText(Math.max(...known))}`;
  return [
    `${waiting.length} of ${wantedCount} packs (${bytes}) stand in an archive (${classes})`,
    `${asked} by the tier "${tier}", for ${days} days; ${time}`,
    'waiting until they are back; after an interruption the same command goes on with what is back by then',
  ];
}

function notInTime(
  waiting: readonly WaitingPack[],
  total: number,
  { waitMsMax }: ThawTerms,
): HoldfastError {
  return new HoldfastError('FILE_ARCHIVED', {
    message: `${waiting.length} of ${total} packs are not back from the archive after ${durationText(waitMsMax)}`,
    hint: 'They were asked for. Run the command again later, or let it wait longer ("-o s3.restore-timeout").',
  });
}
