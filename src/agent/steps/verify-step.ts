import { formatBytes } from '../../base/bytes.ts';
import { check, type ReadData } from '../../engine/check.ts';
import type { VerifyDuty } from '../../policy/duties.ts';
import { afterRead, freshVerify, partsToRead } from '../../policy/verify-share.ts';
import type { AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

/**
 * Checks the whole structure of a repository and reads the next share of what is stored back. The place is kept only if all of
 * it was sound, so that damage is met again until it is mended.
 */
export function verifyStep(
  run: AgentRun,
  duty: VerifyDuty,
  monitor: StepMonitor,
): Promise<StepReport> {
  const { environment } = run.host;
  const { repository, policy, total } = duty;
  const nowMs = environment.clock.wallMs();
  const record = run.memory.load(duty.id);
  const known = record?.verify?.total === total ? record.verify : freshVerify(total);
  const parts = partsToRead(known, duty, { nowMs, sinceMs: record?.sinceMs ?? nowMs });
  const base = { repository, policy, operation: 'check', monitor } as const;
  const use = { ...base, lock: 'exclusive', settleLater: true, useCache: false } as const;
  return withRepository(run, use, async (session) => {
    const { signal, lock } = session;
    const context = { environment, signal, monitor };
    let [errorCount, packCount, bytes] = [0, 0, 0];
    for (const readData of sharesOf(parts, total)) {
      const result = await check(session.repository, { readData }, context);
      errorCount += result.errorCount;
      packCount += result.packsRead;
      bytes += result.bytesRead;
    }
    // What was read while somebody else may have changed the repository proves nothing.
    await lock?.settled;
    const share = parts.length === total ? 'all' : `part ${parts.join(', ')} of ${total}`;
    const read = `${share}: ${packCount} packs, ${formatBytes(bytes)} read back`;
    if (errorCount > 0) {
      const summary = `${read}, ${errorCount} errors: run "holdfast check --read-data"`;
      return { summary, failed: true, verify: known };
    }
    return { summary: `${read}, no errors`, verify: afterRead(known, parts, nowMs) };
  });
}

/** Many parts at once cost as much structure as all of them together cost data. */
function sharesOf(parts: readonly number[], total: number): ReadData[] {
  if (parts.length * 2 > total) return [{ kind: 'all' }];
  return parts.map((part) => ({ kind: 'part', part, total }));
}
