import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { ByteRange } from '../storage/backend.ts';
import type { ServedFile } from '../storage/local/served-repository.ts';
import { sendPieceSizeBytes } from './limits.ts';
import type { Pace } from './pace.ts';

/** The client went away, or was cut off. */
export class ClientGone extends Error {
  constructor() {
    super('the client went away');
    this.name = 'ClientGone';
  }
}

/**
 * Writes a piece of a response, and waits while the client is behind.
 * @throws ClientGone
 */
export async function writePiece(
  response: ServerResponse,
  piece: Uint8Array | string,
  pace: Pace,
): Promise<void> {
  if (response.destroyed) throw new ClientGone();
  if (!response.write(piece)) {
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    response.once('close', onClose);
    try {
      await once(response, 'drain', { signal: gone.signal });
    } catch {
      throw new ClientGone();
    } finally {
      response.off('close', onClose);
    }
  }
  pace.moved(piece.length);
}

/** Sends a range of a file, one piece ahead of the client. @throws ClientGone, RANGE_NOT_SATISFIABLE, BACKEND_READ_FAILED */
export async function sendRange(
  response: ServerResponse,
  file: ServedFile,
  how: { readonly range: ByteRange; readonly pace: Pace },
): Promise<void> {
  const { range, pace } = how;
  const read = async (start: number): Promise<Uint8Array> => {
    const piece = Buffer.allocUnsafeSlow(Math.min(sendPieceSizeBytes, range.end - start));
    await file.read(piece, start);
    return piece;
  };
  let next = range.start < range.end ? read(range.start) : undefined;
  try {
    for (let at = range.start; next; ) {
      const ready = next;
      const piece = await pace.ours(() => ready);
      at += piece.byteLength;
      next = at < range.end ? read(at) : undefined;
      await writePiece(response, piece, pace);
    }
  } finally {
    // The file must not be closed while it is read.
    await next?.catch(() => {});
  }
}
