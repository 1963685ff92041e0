import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { PruneOptions } from '../../engine/prune.ts';
import type { Invocation } from '../command.ts';
import type { PruneFlags } from '../commands/prune.ts';
import { usage } from '../parse.ts';
import { checkPruneFlags, pruneOptionsOf } from '../prune-flags.ts';
import { runPrune } from '../prune-run.ts';
import { type Session, withSession } from '../session.ts';

/** `holdfast prune`. */
export function prune(invocation: Invocation<PruneFlags>): Promise<number> {
  const { flags, globals } = invocation;
  checkPruneFlags(flags, globals.compression);
  if (globals.noLock && !flags.dryRun) {
    throw usage('--no-lock is only applicable in combination with --dry-run for prune');
  }
  const isInstant = flags.instant || flags.unsafeRecoverNoFreeSpace !== undefined;
  const sessionOptions = {
    lock: isInstant ? 'exclusive' : 'prune',
    settleLater: true,
    lockIfRoom: flags.unsafeRecoverNoFreeSpace !== undefined,
    writes: !flags.dryRun,
  } as const;
  return withSession(invocation, sessionOptions, (session) => {
    const options = pruneOptionsOf(flags, session.repository);
    return runPrune(invocation, session, {
      options: confirmRecovery(options, flags.unsafeRecoverNoFreeSpace, session),
      dryRun: flags.dryRun,
      allowRemoveAll: flags.allowRemoveAll,
    });
  }).catch((error: unknown) => {
    throw isHoldfastError(error, 'STORAGE_FULL') ? withWayOut(error) : error;
  });
}

/** Says what can be done where nothing can be stored, not even a lock. */
function withWayOut(error: HoldfastError): HoldfastError {
  return new HoldfastError('STORAGE_FULL', {
    message: error.message,
    details: error.details,
    hint:
      'Run "holdfast forget", which makes the room that it needs, then prune again with --instant; ' +
      'or "holdfast prune --unsafe-recover-no-free-space ID" while nobody else uses the repository.',
    cause: error,
  });
}

/** What `--unsafe-recover-no-free-space` makes of the options. @throws USAGE unless it names this repository */
function confirmRecovery(
  options: PruneOptions,
  id: string | undefined,
  { repository }: Session,
): PruneOptions {
  if (id === undefined) return options;
  if (id !== repository.config.id) {
    throw usage(`must pass id '${repository.config.id}' to --unsafe-recover-no-free-space`);
  }
  const policy = { ...options.policy, maxRepackBytes: 0 };
  return { ...options, policy, instant: true };
}
