import { IncomingMessage } from 'node:http';

import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';

/**
 * Reads the body of an answer into a buffer of exactly its size.
 *
 * @param sizeBytes what it must have; memory is taken for it before the first byte comes
 * @throws BACKEND_READ_FAILED if it has another size; errors of the connection
 */
export async function readBody(body: unknown, sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  assert(body instanceof IncomingMessage, 'the content of a file comes as a stream');
  // Not zeroed first; every byte is overwritten below, or the buffer is dropped.
  const buffer = Buffer.allocUnsafeSlow(sizeBytes);
  const filled = await fill(buffer, body);
  if (filled !== sizeBytes) throw wrongSize(sizeBytes, filled);
  return new Uint8Array(buffer.buffer);
}

/** By events, not by an iterator: what comes is copied and dropped in the same turn, so that little of it piles up. */
async function fill(buffer: Buffer, body: IncomingMessage): Promise<number> {
  let filled = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  body.on('data', (chunk: Buffer) => {
    if (filled + chunk.byteLength > buffer.byteLength) {
      body.destroy(wrongSize(buffer.byteLength, filled + chunk.byteLength));
      return;
    }
    buffer.set(chunk, filled);
    filled += chunk.byteLength;
  });
  body.on('end', resolve);
  body.on('error', reject);
  // Whoever only counts what comes has not started it.
  body.resume();
  await promise;
  return filled;
}

function wrongSize(expectedBytes: number, readBytes: number): HoldfastError {
  return new HoldfastError('BACKEND_READ_FAILED', {
    message: 'the storage sent another number of bytes than it said',
    details: { expectedBytes, readBytes },
  });
}
