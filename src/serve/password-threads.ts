import type { Environment } from '../base/environment.ts';
import { usefulThreadCount, workerModule } from '../base/worker-module.ts';
import { WorkerPool } from '../kernels/worker-pool.ts';
import type { VerifyRequest } from './password-worker.ts';

const moduleAddress = workerModule('./password-worker.ts', import.meta.url);

/** Cores that one thread for passwords stands beside: the rest hash and send content. */
const coresPerThread = 4;

/** Threads that verify passwords, started with the first. One password takes tens of milliseconds of a core. */
export class PasswordThreads {
  readonly #environment: Environment;
  #pool: Promise<WorkerPool<VerifyRequest, boolean>> | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** @param hash of bcrypt @throws WORKER_FAILED; the next call starts new threads */
  async verify(password: string, hash: string): Promise<boolean> {
    this.#pool ??= WorkerPool.start<VerifyRequest, boolean>(moduleAddress, {
      size: Math.ceil(usefulThreadCount() / coresPerThread),
      workerData: undefined,
      environment: this.#environment,
    });
    const pool = this.#pool;
    try {
      return await (await pool).run({ type: 'verify', password, hash });
    } catch (error) {
      if (this.#pool === pool) {
        this.#pool = undefined;
        void pool.then((failed) => failed.close()).catch(() => {});
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.then((running) => running.close()).catch(() => {});
  }
}
