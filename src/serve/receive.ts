import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type FileHandle, wholeFileSizeBytesMax } from '../storage/backend.ts';
import type { ReceivedFile, ServedRepository } from '../storage/local/served-repository.ts';
import { receivePieceSizeBytes } from './limits.ts';
import type { Pace } from './pace.ts';
import type { Quota } from './quota.ts';
import { Refusal } from './refusal.ts';

/** What is needed to take in a file. */
export interface Receiving {
  readonly repository: ServedRepository;
  readonly handle: FileHandle;
  readonly quota: Quota;
  readonly pace: Pace;
  /** Asks the client for the content, if it waits to be asked. */
  readonly proceed: () => void;
}

/** Types whose files are not named after their content. */
const namedOtherwise: readonly string[] = ['config', 'parity'];

/**
 * Stores the content of a request: whole, verified against its name and on the disk when this returns, and not visible before. One
 * piece at a time is in memory.
 *
 * @returns its size in bytes
 * @throws Refusal 400 (cut short, or not what its name says), 413, 507; and as `ServedRepository.receive`
 */
export async function receiveFile(request: IncomingMessage, how: Receiving): Promise<number> {
  const { handle, quota } = how;
  const room = new Room(quota, wholeFileSizeBytesMax[handle.type]);
  try {
    // Known before anything is written: also what a client sends who does not wait for an answer.
    room.need(declaredSize(request));
    const file = await how.pace.ours(() => how.repository.receive(handle));
    try {
      how.proceed();
      const hash = namedOtherwise.includes(handle.type) ? undefined : createHash('sha256');
      await writeContent(request, { file, hash, room, pace: how.pace });
      if (hash && hash.digest('hex') !== handle.name) {
        throw new Refusal(400, 'the content is not what its name says: SHA-256 differs');
      }
      await how.pace.ours(() => file.publish());
    } finally {
      await file.end();
    }
    room.keep();
    return room.sizeBytes;
  } finally {
    room.end();
  }
}

/** The room that one content takes. */
class Room {
  readonly #quota: Quota;
  readonly #sizeBytesMax: number;
  #takenBytes = 0;
  #isKept = false;
  /** What has come so far. */
  sizeBytes = 0;

  constructor(quota: Quota, sizeBytesMax: number) {
    this.#quota = quota;
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** Takes room for a content of at least so many bytes. @throws Refusal 413, 507 */
  need(sizeBytes: number): void {
    if (sizeBytes > this.#sizeBytesMax) {
      throw new Refusal(413, 'the content is larger than any file of its type');
    }
    if (sizeBytes <= this.#takenBytes) return;
    this.#quota.take(sizeBytes - this.#takenBytes);
    this.#takenBytes = sizeBytes;
  }

  keep(): void {
    this.#isKept = true;
  }

  end(): void {
    this.#quota.give(this.#takenBytes - (this.#isKept ? this.sizeBytes : 0));
  }
}

interface Writing {
  readonly file: ReceivedFile;
  readonly hash: Hash | undefined;
  readonly room: Room;
  readonly pace: Pace;
}

async function writeContent(request: IncomingMessage, how: Writing): Promise<void> {
  const { file, hash, room, pace } = how;
  let parts: Uint8Array[] = [];
  let waitingBytes = 0;
  const flush = async (): Promise<void> => {
    const ready = parts;
    parts = [];
    waitingBytes = 0;
    if (ready.length > 0) await pace.ours(() => file.append(ready));
  };
  try {
    // Not destroyed by an error: its client shall still get the answer.
    const contents: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
    for await (const part of contents) {
      pace.moved(part.byteLength);
      room.sizeBytes += part.byteLength;
      room.need(room.sizeBytes);
      hash?.update(part);
      parts.push(part);
      waitingBytes += part.byteLength;
      if (waitingBytes >= receivePieceSizeBytes) await flush();
    }
  } catch (error) {
    if (request.complete || !request.destroyed) throw error;
    throw cutShort();
  }
  if (!request.complete) throw cutShort();
  await flush();
}

function cutShort(): Refusal {
  return new Refusal(400, 'the content was cut short');
}

function declaredSize(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}
