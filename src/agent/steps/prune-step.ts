import { formatBytes } from '../../base/bytes.ts';
import { lengthMs } from '../../contracts/durations.ts';
import type { PruneRule } from '../../contracts/policy.ts';
import { sizeBytes } from '../../contracts/texts.ts';
import {
  executePrune,
  planPrune,
  type PruneOptions,
  type UnusedLimit,
} from '../../engine/prune.ts';
import type { PruneDuty } from '../../policy/duties.ts';
import { thisProbe } from '../../session/this-process.ts';
import type { AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

const keepDeleteMsDefault = 86_400_000;
const unusedPercentDefault = 5;

/** Frees space in two phases: deletes what was marked long enough ago, and marks what nobody needs now. */
export function pruneStep(
  run: AgentRun,
  duty: PruneDuty,
  monitor: StepMonitor,
): Promise<StepReport> {
  const { environment } = run.host;
  const { repository, policy, rule } = duty;
  const base = { repository, policy, operation: 'prune', monitor } as const;
  const use = { ...base, lock: 'prune', settleLater: true, writes: true } as const;
  return withRepository(run, use, async (session) => {
    const { lock, signal } = session;
    const context = { environment, signal, monitor };
    const source = { repository: session.repository, loadIndex: () => session.loadWholeIndex() };
    const plan = await planPrune(source, pruneOptions(rule), context);
    // What was read while somebody else may have changed the repository proves nothing.
    await lock?.settled;
    const locks = { lock, commit: () => session.lockPart('commit'), probe: thisProbe() };
    const result = await executePrune(plan, locks, context);
    if (result.blockedBy !== undefined) {
      monitor.problem({ item: '', during: 'check', error: result.blockedBy });
    }
    const { deleted, awaiting, marked } = result;
    const markedBytes = marked.reduce((sum, pack) => sum + (pack.sizeBytes ?? 0), 0);
    const parts = [
      `${deleted.length} packs deleted`,
      `${marked.length} marked (${formatBytes(markedBytes)})`,
      ...(awaiting.length > 0 ? [`${awaiting.length} wait for work that is under way`] : []),
    ];
    return { summary: parts.join(', '), failed: result.blockedBy !== undefined };
  });
}

function pruneOptions(rule: PruneRule): PruneOptions {
  const largest = rule['max-repack-size'];
  const keepDelete = rule['keep-delete'];
  return {
    policy: {
      maxUnused: unusedLimit(rule['max-unused']),
      ...(largest === undefined ? {} : { maxRepackBytes: sizeBytes(largest) }),
    },
    instant: false,
    keepDeleteMs: keepDelete === undefined ? keepDeleteMsDefault : lengthMs(keepDelete),
  };
}

function unusedLimit(text: string | undefined): UnusedLimit {
  if (text === undefined) return { kind: 'percent', percent: unusedPercentDefault };
  if (text === 'unlimited') return { kind: 'unlimited' };
  if (text.endsWith('%')) return { kind: 'percent', percent: Number(text.slice(0, -1)) };
  return { kind: 'size', sizeBytes: sizeBytes(text) };
}
