import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { workerModule } from '../base/worker-module.ts';
import type { Environment } from '../base/environment.ts';
import type { ScryptInput } from './portable/scrypt.ts';
import type { MixRequest } from './scrypt-worker.ts';
import { prepareSealing } from './seal.ts';
import { WorkerPool } from './worker-pool.ts';
import { prepareZstd } from './zstd.ts';

const moduleAddress = workerModule('./scrypt-worker.ts', import.meta.url);

const pbkdf2Async = promisify(pbkdf2);

/**
 * scrypt (RFC 7914) with two of the `p` lanes at a time, in a thread of its own: half the processor time of OpenSSL,
 * which mixes one lane after the other and without vectors. Takes 256 * N * r bytes of memory, which end with the thread.
 * @throws WORKER_FAILED if no thread can be started
 */
export async function threadedScrypt(
  input: ScryptInput,
  environment: Environment,
): Promise<Uint8Array> {
  const { password, salt, N, r, p } = input;
  const starting = Promise.all([
    // One thread: a second would take fresh memory of its own, which costs more than it saves.
    WorkerPool.start<MixRequest, Uint8Array>(moduleAddress, {
      size: 1,
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
    const mixed = await pool.run({ type: 'mix', blocks, cost: { N, r } });
    const key = await pbkdf2Async(password, mixed, 1, input.sizeBytes, 'sha256');
    blocks.fill(0);
    mixed.fill(0);
    return key;
  } finally {
    // Nothing that was asked for is still at work, so nobody needs to wait for its end.
    void pool.close();
  }
}
