import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { workerModule } from '../base/worker-module.ts';
import type { Environment } from '../base/environment.ts';
import type { ScryptInput } from './portable/scrypt.ts';
import { lanesAtOnce } from './scrypt-lanes.ts';
import type { MixRequest } from './scrypt-worker.ts';
import { prepareSealing } from './seal.ts';
import { WorkerPool } from './worker-pool.ts';
import { prepareZstd } from './zstd.ts';

const moduleAddress = workerModule('./scrypt-worker.ts', import.meta.url);

const pbkdf2Async = promisify(pbkdf2);

/** What `threadedScrypt` derives a key from: password, salt, cost and size, and how many threads that may take. */
export interface ThreadedScryptInput extends ScryptInput {
  /** At most so many threads, 1 or 2. */
  readonly threadCountMax: number;
}

/**
 * scrypt (RFC 7914) with two of the `p` lanes at a time, in a thread of its own: half the processor time of OpenSSL,
 * which mixes one lane after the other and without vectors. Takes 256 * N * r bytes of memory a thread, which end with it.
 * Two threads take a quarter less time, and a third more of the processor, most of it for that memory.
 * @throws WORKER_FAILED if no thread can be started
 */
export async function threadedScrypt(
  input: ThreadedScryptInput,
  environment: Environment,
): Promise<Uint8Array> {
  const { password, salt, N, r, p } = input;
  const size = Math.min(input.threadCountMax, Math.ceil(p / lanesAtOnce));
  const starting = Promise.all([
    WorkerPool.start<MixRequest, Uint8Array>(moduleAddress, {
      size,
      workerData: undefined,
      environment,
    }),
    pbkdf2Async(password, salt, 1, p * 128 * r, 'sha256'),
  ]);
  // While the thread starts: whoever has the key opens documents with it.
  prepareSealing();
  prepareZstd();
  const [pool, blocks] = await starting;
  try {
    const parts = shareOut(blocks, { blockSizeBytes: 128 * r, count: size });
    const mixed = await Promise.all(
      parts.map((part, i) => pool.runOn(i, { type: 'mix', blocks: part, cost: { N, r } })),
    );
    const all = Buffer.concat(mixed);
    const key = await pbkdf2Async(password, all, 1, input.sizeBytes, 'sha256');
    for (const bytes of [blocks, all, ...mixed]) bytes.fill(0);
    return key;
  } finally {
    // Nothing that was asked for is still at work, so nobody needs to wait for its end.
    void pool.close();
  }
}

/** The lanes of each thread: whole pairs, as equally as that goes. */
function shareOut(
  blocks: Uint8Array,
  { blockSizeBytes, count }: { readonly blockSizeBytes: number; readonly count: number },
): Uint8Array[] {
  const laneCount = blocks.length / blockSizeBytes;
  const pairsEach = Math.ceil(laneCount / lanesAtOnce / count);
  const partSizeBytes = pairsEach * lanesAtOnce * blockSizeBytes;
  return Array.from({ length: count }, (_, i) =>
    blocks.subarray(i * partSizeBytes, (i + 1) * partSizeBytes),
  );
}
