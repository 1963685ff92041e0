import { endsWork } from '../../base/errors.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { ChunkScanner, chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { closeFile, readAt } from '../../platform/files.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { openListed, type Source, type SourceEntry } from '../../sources/source.ts';
import { SourceWalk } from '../source-walk.ts';
import { BlobWriter } from '../packs/blob-writer.ts';
import type { EngineContext } from '../context.ts';
import { transferBlobs } from '../packs/transfer.ts';
import type { WantedBlobs } from './wanted-blobs.ts';

/** Where good copies of lost blobs may be. */
export interface BlobSources {
  /** A second repository with the same files. */
  readonly repository?: IndexedRepository | undefined;
  /** The files themselves: cut as a backup cuts them, they give the same blobs as long as they are the same. */
  readonly files?: Source | undefined;
}

/** Where healed blobs are stored: the repository that lacks them, and its index writer. */
export interface HealTarget {
  readonly indexed: IndexedRepository;
  /** Not flushed. */
  readonly writer: IndexWriter;
}

const bufferSizeBytes: number = 2 * chunkSizeBytesMax;

/**
 * Stores good copies of wanted blobs, as far as the sources have them, and takes those off `wanted`.
 * @returns how many were healed
 */
export async function healBlobs(
  wanted: WantedBlobs,
  { sources, target }: { readonly sources: BlobSources; readonly target: HealTarget },
  context: EngineContext,
): Promise<number> {
  const count = wanted.size;
  const { repository: source } = sources;
  if (source) await healFromRepository(wanted, { source, target }, context);
  if (sources.files && wanted.size > 0) {
    await new FolderHealer(wanted, target, context).heal(sources.files);
  }
  return count - wanted.size;
}

async function healFromRepository(
  wanted: WantedBlobs,
  { source, target }: { readonly source: IndexedRepository; readonly target: HealTarget },
  context: EngineContext,
): Promise<void> {
  const entries: number[] = [];
  for (const { type, id } of wanted) {
    const entry = source.index.find(type, id);
    if (entry >= 0) entries.push(entry);
  }
  if (entries.length === 0) return;
  const request = { source, wanted: entries, target, again: true };
  const { failed } = await transferBlobs(request, context);
  const isFailed = new Set(failed.map(({ entry }) => entry));
  for (const entry of entries) {
    if (isFailed.has(entry)) continue;
    wanted.delete(source.index.typeOf(entry), source.index.idOf(entry));
  }
}

/** Reads files whose size is that of a file that lacks content, and keeps the chunks that are wanted. */
class FolderHealer {
  readonly #wanted: WantedBlobs;
  readonly #blobs: BlobWriter;
  readonly #scanner: ChunkScanner;
  readonly #context: EngineContext;

  constructor(wanted: WantedBlobs, { indexed, writer }: HealTarget, context: EngineContext) {
    this.#wanted = wanted;
    this.#blobs = new BlobWriter(indexed, context, { writer, again: true });
    this.#scanner = new ChunkScanner(indexed.repository.config.polynomial, bufferSizeBytes);
    this.#context = context;
  }

  async heal(source: Source): Promise<void> {
    const walk = new SourceWalk(source, this.#context.environment.clock);
    for (let listing = await walk.next(); listing; listing = await walk.next()) {
      for (const entry of listing.entries) {
        throwIfAborted(this.#context.signal);
        const { kind, sizeBytes } = entry.status;
        if (kind !== 'file' || !this.#wanted.fileSizes.has(sizeBytes)) continue;
        if (source.isFar?.(entry)) this.#passOver(entry);
        else await this.#tryFile(entry);
      }
    }
    await this.#blobs.finish();
  }

  async #tryFile(entry: SourceEntry): Promise<void> {
    const { path, status } = entry;
    try {
      const { fd } = openListed({ path, device: status.device, inode: status.inode });
      try {
        await this.#cut(fd);
      } finally {
        closeFile(fd);
      }
    } catch (error) {
      if (endsWork(error) || this.#blobs.hasFailed) throw error;
      this.#context.monitor.problem({
        item: Buffer.from(path).toString('utf8'),
        during: 'scan',
        error,
      });
    }
  }

  #passOver({ path }: SourceEntry): void {
    const name = JSON.stringify(Buffer.from(path).toString('utf8'));
    this.#context.monitor.note(`${name} is not looked at: its file system may stop answering`);
  }

  /** Cuts a file as a backup does. */
  async #cut(fd: number): Promise<void> {
    const { buffer } = this.#scanner;
    let end = 0;
    for (let isLast = false; ; ) {
      while (!isLast && end < buffer.length) {
        const count = readAt(fd, buffer.subarray(end));
        end += count;
        isLast = count === 0;
      }
      let start = 0;
      for (;;) {
        const cut = this.#scanner.nextCut(start, end, isLast);
        if (cut < 0 || (!isLast && end - start < chunkSizeBytesMax)) break;
        await this.#take(buffer.subarray(start, cut));
        start = cut;
      }
      buffer.copyWithin(0, start, end);
      end -= start;
      if (isLast) return;
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    const id = sha256(chunk);
    if (!this.#wanted.has('data', id)) return;
    await this.#blobs.add('data', chunk);
    this.#wanted.delete('data', id);
  }
}
