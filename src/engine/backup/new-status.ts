import type { FileStatus } from '../../platform/status.ts';
import type { ExtendedAttribute } from '../../sources/source.ts';

/** What a file was when it was stored, where that is not what its listing said. */
export interface NewStatus {
  readonly status: FileStatus;
  /** Absent if they cannot be read. */
  readonly attributes?: readonly ExtendedAttribute[];
}
