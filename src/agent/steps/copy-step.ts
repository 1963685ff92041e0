import { formatBytes } from '../../base/bytes.ts';
import { copySnapshots } from '../../engine/copy.ts';
import type { CopyDuty } from '../../policy/duties.ts';
import type { AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import { allSnapshots, snapshotsOf } from '../source-snapshots.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

/** Copies the snapshots of a source to a second repository that are not there yet. */
export function copyStep(run: AgentRun, duty: CopyDuty, monitor: StepMonitor): Promise<StepReport> {
  const { environment } = run.host;
  const { policy, from, repository } = duty;
  const base = { policy, operation: 'copy', monitor, lock: 'shared' } as const;
  return withRepository(run, { ...base, repository: from }, (source) =>
    withRepository(
      run,
      { ...base, repository, writes: true, signal: source.signal },
      async (target) => {
        const chosen = snapshotsOf(await allSnapshots(source), duty);
        const existing = await allSnapshots(target);
        const request = {
          // The newest first, which is wanted most if the rest takes long.
          snapshots: chosen.toReversed(),
          existing,
          source: await source.loadIndex(),
          target: await target.loadIndex(),
          lock: target.lock,
        };
        const context = { environment, signal: target.signal, monitor };
        const result = await copySnapshots(request, context);
        const { copied, skippedCount, failed, healed, storedSizeBytes } = result;
        const parts = [
          `${copied.length} snapshots copied, ${formatBytes(storedSizeBytes)}`,
          `${skippedCount} were there`,
          ...(healed.length > 0 ? [`${healed.length} made whole again`] : []),
          ...(failed.length > 0 ? [`${failed.length} could not be copied`] : []),
        ];
        return { summary: parts.join(', '), failed: failed.length > 0 };
      },
    ),
  );
}
