import { systemEnvironment } from '../../base/environment.ts';
import { describeError, type ErrorCode, HoldfastError } from '../../base/errors.ts';
import type { PhaseMonitor, Problem } from '../../base/monitor.ts';
import type { Repository } from '../../repository/repository.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { fault } from '../../storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../../storage/memory/memory-backend.ts';
import type { EngineContext } from '../context.ts';

/** What a repair hears itself say. */
export interface HeardRepair {
  /** `item: message`, in the order told. */
  readonly complaints: string[];
  readonly context: EngineContext<PhaseMonitor>;
}

export function hearRepair(): HeardRepair {
  const complaints: string[] = [];
  const monitor: PhaseMonitor = {
    problem: ({ item, error }: Problem) => complaints.push(`${item}: ${describeError(error)}`),
    note: () => {},
    phase: () => {},
    progress: () => {},
  };
  return { complaints, context: { environment: systemEnvironment, monitor } };
}

/** Another copy of all files, for another try. */
export function copyFiles(files: MemoryFiles): MemoryFiles {
  return new Map([...files].map(([key, bytes]) => [key, bytes.slice()]));
}

/**
 * Lets some work be stopped at every change that it makes, once before the change and once after it, and shows what is
 * stored then.
 * @param work opens the repository anew each time
 * @returns how many stops there were
 */
export async function stopEverywhere(
  files: MemoryFiles,
  work: (repository: Repository) => Promise<unknown>,
  judge: (files: MemoryFiles, stop: string) => Promise<void>,
): Promise<number> {
  let stops = 0;
  for (const operation of ['put', 'remove'] as const) {
    for (const kind of ['error', 'error-after'] as const) {
      for (let call = 1; ; call++) {
        const left = copyFiles(files);
        const code: ErrorCode = 'BACKEND_UNAVAILABLE';
        const rule = { operation, call, count: Infinity, fault: { kind, code } } as const;
        const backend = fault(new MemoryBackend(left), [rule]);
        const isStopped = await work(testRepository({ backend })).then(
          () => false,
          (error: unknown) => {
            if (error instanceof HoldfastError && error.code === code) return true;
            throw error;
          },
        );
        if (!isStopped) break;
        stops++;
        await judge(left, `${kind} at ${operation} ${call}`);
      }
    }
  }
  return stops;
}
