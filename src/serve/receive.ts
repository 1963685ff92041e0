import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isHoldfastError } from '../base/errors.ts';
import { type FileHandle, wholeFileSizeBytesMax } from '../storage/backend.ts';
import { isNamedByContent } from '../storage/content-names.ts';
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

/** What became of a content that came in. */
export interface Received {
  readonly sizeBytes: number;
  /** False if just this was stored before. */
  readonly isNew: boolean;
}

/**
 * Stores the content of a request: whole, verified against its name and on the disk when this returns, and not visible before. One
 * piece at a time is in memory.
 *
 * A file that is there is never written. Who sends its very content again has lost the answer to an earlier try, such as to a
 * server that was killed, and is told that it is stored: restic gives its backup up over anything else.
 *
 * @throws Refusal 400 (cut short, or not what its name says), 413, 507; and as `ServedRepository.receive`
 */
export async function receiveFile(request: IncomingMessage, how: Receiving): Promise<Received> {
  const { handle, quota } = how;
  const storedBytes = await sizeIfThere(how);
  if (storedBytes !== undefined) return receiveAgain(request, how, storedBytes);
  const room = new Room(quota, wholeFileSizeBytesMax[handle.type]);
  try {
    // Known before anything is written: also what a client sends who does not wait for an answer.
    room.need(declaredSize(request));
    const file = await beginUnlessThere(how);
    // Somebody stored it since it was looked for.
    if (!file) return await receiveAgain(request, how, (await sizeIfThere(how)) ?? 0);
    try {
      how.proceed();
      const hash = isNamedByContent(handle) ? createHash('sha256') : undefined;
      await writeContent(request, { file, hash, room, pace: how.pace });
      if (hash && hash.digest('hex') !== handle.name) {
        throw new Refusal(400, 'the content is not what its name says: SHA-256 differs');
      }
      const isNew = await publishOnce(file, how);
      if (isNew) room.keep();
      return { sizeBytes: room.sizeBytes, isNew };
    } finally {
      await file.end();
    }
  } finally {
    room.end();
  }
}

async function sizeIfThere({ repository, handle, pace }: Receiving): Promise<number | undefined> {
  try {
    return await pace.ours(() => repository.stat(handle));
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** @returns undefined if there is a file of the name */
async function beginUnlessThere({
  repository,
  handle,
  pace,
}: Receiving): Promise<ReceivedFile | undefined> {
  try {
    return await pace.ours(() => repository.receive(handle));
  } catch (error) {
    if (isHoldfastError(error, 'FILE_EXISTS')) return undefined;
    throw error;
  }
}

/** @returns false if somebody else stored the same meanwhile */
async function publishOnce(file: ReceivedFile, how: Receiving): Promise<boolean> {
  try {
    await how.pace.ours(() => file.publish());
    return true;
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS') || !isNamedByContent(how.handle)) throw error;
    if (!(await how.pace.ours(() => isStored(how.repository, how.handle)))) throw error;
    return false;
  }
}

/** Takes in what may be stored already, and writes nothing. @throws Refusal 403 if what is stored is anything else, 412 */
async function receiveAgain(
  request: IncomingMessage,
  how: Receiving,
  storedBytes: number,
): Promise<Received> {
  const { handle, pace, repository, proceed } = how;
  if (request.headers['if-none-match'] === '*') throw new Refusal(412, exists);
  const declared = request.headers['content-length'];
  const mayBeSame = declared === undefined || Number(declared) === storedBytes;
  if (!isNamedByContent(handle) || !mayBeSame) throw new Refusal(403, exists);
  proceed();
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await readContent(request, async (part) => {
    pace.moved(part.byteLength);
    sizeBytes += part.byteLength;
    if (sizeBytes > storedBytes) throw new Refusal(403, exists);
    hash.update(part);
  });
  const isSame = hash.digest('hex') === handle.name;
  // What rotted on the disk is not what was sent.
  if (!isSame || !(await pace.ours(() => isStored(repository, handle)))) {
    throw new Refusal(403, exists);
  }
  return { sizeBytes: storedBytes, isNew: false };
}

/** Whether a stored file is what its name says; then it is there to stay. */
async function isStored(repository: ServedRepository, handle: FileHandle): Promise<boolean> {
  const file = await repository.open(handle);
  try {
    const hash = createHash('sha256');
    for (let at = 0; at < file.sizeBytes; at += receivePieceSizeBytes) {
      const piece = new Uint8Array(Math.min(receivePieceSizeBytes, file.sizeBytes - at));
      await file.read(piece, at);
      hash.update(piece);
    }
    if (hash.digest('hex') !== handle.name) return false;
  } finally {
    await file.close();
  }
  // Whoever stored it may have been killed before its name was on the disk.
  await repository.syncName(handle);
  return true;
}

const exists = 'the file exists already; nothing is overwritten';

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
  await readContent(request, async (part) => {
    pace.moved(part.byteLength);
    room.sizeBytes += part.byteLength;
    room.need(room.sizeBytes);
    hash?.update(part);
    parts.push(part);
    waitingBytes += part.byteLength;
    if (waitingBytes >= receivePieceSizeBytes) await flush();
  });
  await flush();
}

/** Hands on the content of a request, part by part. @throws Refusal 400 if it is cut short */
async function readContent(
  request: IncomingMessage,
  take: (part: Uint8Array) => Promise<void>,
): Promise<void> {
  try {
    // Not destroyed by an error: its client shall still get the answer.
    const contents: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
    for await (const part of contents) await take(part);
  } catch (error) {
    if (request.complete || !request.destroyed) throw error;
    throw cutShort();
  }
  if (!request.complete) throw cutShort();
}

function cutShort(): Refusal {
  return new Refusal(400, 'the content was cut short');
}

function declaredSize(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}
