import type { IndexedRepository } from '../../repository/indexed.ts';
import type { EngineContext } from '../context.ts';
import type { DirectoryOpener } from './directories.ts';
import type { RestoreOptions } from './options.ts';
import type { SnapshotWays } from './snapshot-ways.ts';
import type { RestoreTally } from './tally.ts';

/** What restoring works with. */
export interface RestoreParts {
  readonly indexed: IndexedRepository;
  readonly opener: DirectoryOpener;
  readonly tally: RestoreTally;
  readonly options: RestoreOptions;
  /** A file of the right size and time is as an earlier restore wrote it, or somebody else. */
  readonly trustsTimes: boolean;
  /** Another restore may be writing to the same target: its temporary files are not ours. */
  readonly isShared: boolean;
  readonly ways: SnapshotWays;
  readonly context: EngineContext;
  /** In a dry run: takes the numbers of the packs that would be read. */
  readonly packsWanted?: Set<number>;
}
