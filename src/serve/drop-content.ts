import type { IncomingMessage, ServerResponse } from 'node:http';
import { droppedSizeBytesMax, receivePace, sendPace } from './limits.ts';
import type { PaceWatch } from './pace.ts';

/**
 * Reads and drops content that nobody took, up to a limit: a client that is cut off while it sends does not get to read the
 * answer.
 */
export async function dropContent(request: IncomingMessage, paces: PaceWatch): Promise<void> {
  if (request.complete || request.destroyed) return;
  const pace = paces.start(receivePace, () => request.destroy());
  let left = droppedSizeBytesMax;
  request.on('data', (part: Uint8Array) => {
    pace.moved(part.byteLength);
    left -= part.byteLength;
    if (left < 0) request.destroy();
  });
  request.resume();
  await over(request, ['end', 'close', 'error']);
  pace.end();
}

/** Waits until the client has taken an answer, or is gone. */
export async function sent(response: ServerResponse, paces: PaceWatch): Promise<void> {
  if (response.writableFinished || response.destroyed) return;
  const pace = paces.start(sendPace, () => response.destroy());
  await over(response, ['finish', 'close']);
  pace.end();
}

function over(stream: IncomingMessage | ServerResponse, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of events) stream.once(event, () => resolve());
  });
}
