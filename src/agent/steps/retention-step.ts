import { HoldfastError } from '../../base/errors.ts';
import type { Retention } from '../../contracts/policy.ts';
import { planSoundForget, removeSnapshots } from '../../engine/forget.ts';
import { type CalendarSpan, parseSpan } from '../../engine/retention/calendar-span.ts';
import { isKept } from '../../engine/retention/decide.ts';
import type { RetentionPolicy } from '../../engine/retention/policy.ts';
import type { RetentionDuty } from '../../policy/duties.ts';
import type { AgentRun } from '../host.ts';
import { withRepository } from '../open-repository.ts';
import { allSnapshots, snapshotsOf } from '../source-snapshots.ts';
import type { StepReport } from '../step-result.ts';
import type { StepMonitor } from './monitor.ts';

/** Snapshots with this tag stay unless a policy names others. */
const holdTagDefault = 'hold';

/** Removes the snapshots of a source that no rule keeps. Others of the repository are not touched. */
export function retentionStep(
  run: AgentRun,
  duty: RetentionDuty,
  monitor: StepMonitor,
): Promise<StepReport> {
  const { environment } = run.host;
  const { repository, policy, retention } = duty;
  const use = {
    repository,
    policy,
    operation: 'forget',
    monitor,
    lock: 'exclusive',
    settleLater: true,
    writes: true,
  } as const;
  return withRepository(run, use, async (session) => {
    const { signal, lock } = session;
    const context = { environment, signal, monitor };
    const snapshots = snapshotsOf(await allSnapshots(session), duty);
    const request = {
      policy: retentionPolicy(retention),
      groupBy: { host: false, paths: false, tags: false },
      allowRemoveAll: false,
      loadIndex: () => session.loadIndex(),
    };
    const groups = await planSoundForget(snapshots, request, context);
    const gone = groups.flatMap(({ decisions }) =>
      decisions.filter((decision) => !isKept(decision)).map(({ snapshot }) => snapshot.id),
    );
    // Nothing is removed before the lock's second look has ended well.
    await lock?.settled;
    if (gone.length === 0) return { summary: `all ${snapshots.length} snapshots stay` };
    const { removed, failed } = await removeSnapshots(session.repository, gone, context);
    for (const { id, error } of failed) {
      monitor.problem({ item: `snapshot ${id}`, during: 'check', error });
    }
    const left = snapshots.length - removed.length;
    const summary = `removed ${removed.length} snapshots, ${left} stay`;
    return { summary, failed: failed.length > 0 };
  });
}

/** What the words of an estate mean to the engine. */
export function retentionPolicy(retention: Retention): RetentionPolicy {
  const count = (period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly'): number =>
    retention[`keep-${period}`] ?? 0;
  const within = (period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly'): CalendarSpan =>
    spanOf(retention[`keep-within-${period}`]);
  const held = retention['hold-tags'] ?? [holdTagDefault];
  return {
    // Of the sound ones too: what the engine counts for all, it counts for those alone as well.
    last: Math.max(retention['keep-last'] ?? 0, retention.minimum ?? 1),
    counts: {
      hourly: count('hourly'),
      daily: count('daily'),
      weekly: count('weekly'),
      monthly: count('monthly'),
      yearly: count('yearly'),
    },
    within: spanOf(retention['keep-within']),
    withinPeriods: {
      hourly: within('hourly'),
      daily: within('daily'),
      weekly: within('weekly'),
      monthly: within('monthly'),
      yearly: within('yearly'),
    },
    tags: [...(retention['keep-tag'] ?? []), ...held.map((tag) => [tag])],
  };
}

function spanOf(text: string | undefined): CalendarSpan {
  const parsed = parseSpan(text ?? '');
  if ('span' in parsed) return parsed.span;
  throw new HoldfastError('USAGE', { message: `${JSON.stringify(text)} ${parsed.problem}` });
}
