import type { FileStatus } from '../platform/status.ts';
import type { SourceEntry } from './source.ts';

/** What a thread needs to open one regular file of a source; plain data that can be posted. */
export interface OpenRequest {
  readonly path: Uint8Array;
  readonly device: number | bigint;
  readonly inode: number | bigint;
}

/** An open regular file and its status at that moment. The caller closes `fd`. */
export interface OpenedFile {
  readonly fd: number;
  readonly status: FileStatus;
}

/** The request that opens `entry`, also in another thread. */
export function openRequestOf(entry: SourceEntry): OpenRequest {
  const { device, inode } = entry.status;
  return { path: entry.path, device, inode };
}

/**
 * Opens a regular file for reading without following a link and without waiting (a FIFO or device that took its place
 * is refused), and makes sure that it is the file of the request.
 *
 * Paths longer than PATH_MAX are walked in pieces.
 * @param options acceptReplaced: another regular file under the same name is fine; the caller must use the status returned
 * @throws SOURCE_FAILED with details.reason 'replaced' if something else has its place; FILE_NOT_FOUND if it is gone;
 * SYSTEM_CALL_FAILED
 */
export function openSourceFile(
  request: OpenRequest,
  options: { readonly acceptReplaced?: boolean } = {},
): OpenedFile {
  void request;
  void options;
  throw new Error('not implemented yet');
}
