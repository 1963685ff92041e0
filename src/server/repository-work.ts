import { runAttach, type RunChildOptions, runSnapshots } from '../agent/run-child.ts';
import type {
  AttachReport,
  AttachTask,
  SnapshotsReport,
  SnapshotsTask,
} from '../agent/run-messages.ts';
import { Semaphore } from '../base/concurrency.ts';
import { HoldfastError } from '../base/errors.ts';
import type { RunPlace } from './scheduler/carry-run.ts';

/** Repositories that are opened at once for who asks, and how long that may take, in milliseconds. */
const openCountMax = 2;
const openMsMax = 120_000;

/** What of a task is asked; the rest is the server's. */
type Asked<T> = Omit<T, 'kind' | 'variables' | 'cachePath' | 'programVersion'>;

/** Work on repositories that somebody waits for. Each is done in a process of its own. */
export interface RepositoryWork {
  /** Opens a repository, to see whether that works. @throws as `attachRepository`; BACKEND_UNAVAILABLE if it takes too long */
  attach(asked: Asked<AttachTask>, secrets: Record<string, string>): Promise<AttachReport>;
  /** Lists snapshots. @throws as `attach` */
  snapshots(asked: Asked<SnapshotsTask>, secrets: Record<string, string>): Promise<SnapshotsReport>;
}

/** @param ended ends all of it */
export function repositoryWork(place: RunPlace, ended: AbortSignal): RepositoryWork {
  const slots = new Semaphore(openCountMax);
  const { cachePath, programVersion } = place;
  const common = (secrets: Record<string, string>) => ({
    cachePath,
    programVersion,
    variables: { ...place.variables, ...secrets },
  });
  const inTime = <T>(work: (options: RunChildOptions) => Promise<T>): Promise<T> =>
    slots.run(() => doInTime(place, ended, work));
  return {
    attach: (asked, secrets) =>
      inTime((options) => runAttach({ kind: 'attach', ...asked, ...common(secrets) }, options)),
    snapshots: (asked, secrets) =>
      inTime((options) =>
        runSnapshots({ kind: 'snapshots', ...asked, ...common(secrets) }, options),
      ),
  };
}

async function doInTime<T>(
  { state }: RunPlace,
  ended: AbortSignal,
  work: (options: RunChildOptions) => Promise<T>,
): Promise<T> {
  const { clock } = state.environment;
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(openMsMax, done.signal).then(
    () => late.abort(new HoldfastError('CANCELLED')),
    () => undefined,
  );
  try {
    return await work({ clock, signal: AbortSignal.any([late.signal, ended]) });
  } catch (error) {
    if (!late.signal.aborted) throw error;
    throw new HoldfastError('BACKEND_UNAVAILABLE', {
      message: `the storage gave no answer within ${openMsMax / 1000} s`,
    });
  } finally {
    done.abort();
  }
}
