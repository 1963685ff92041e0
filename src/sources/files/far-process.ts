import { writeSync } from 'node:fs';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { type SerializedError, serializeError } from '../../base/serialized-errors.ts';
import { readExtendedAttributes } from '../../platform/attributes.ts';
import { listDirectory, openDirectory, scanNames } from '../../platform/directory.ts';
import { closeFile, readAt, readLinkAt } from '../../platform/files.ts';
import { readStatusOf, tryReadStatus } from '../../platform/status.ts';
import { openListed } from '../open-listed.ts';
import type { FarPart } from '../source.ts';
import { byteTextOf } from './byte-text.ts';
import {
  contentFile,
  type FarAnswer,
  type FarCall,
  type FarCalls,
  type FarEntry,
  type FarQuestion,
  type FarReply,
  type FarRequest,
} from './far-messages.ts';
import { readStart } from './read-start.ts';

// TypeScript knows it of browsers only.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
};

/**
 * The main module of a process that reads what may never answer. It may hang in any call: whoever asks then leaves it
 * to the kernel, and asks another.
 */
let directory: number | undefined;
let file: number | undefined;
let contents = new Uint8Array(0);

const calls: FarCalls = {
  status: ({ path }) => tryReadStatus(path) && tryReadStatus(path, { follow: true }),
  list({ path, noFollow }) {
    if (directory !== undefined) closeFile(directory);
    directory = undefined;
    directory = openDirectory(path, { noFollow });
    return { status: readStatusOf(directory), names: listDirectory(directory) };
  },
  entries: ({ names }) => readEntries(opened(directory), names),
  start: ({ name, sizeBytes }) => readStart({ directory: opened(directory), name }, sizeBytes),
  open({ file: listed, sizeBytes }) {
    if (file !== undefined) closeFile(file);
    file = undefined;
    const { fd, status } = openListed(listed);
    file = fd;
    return { opened: status, ...readPart(fd, 0, sizeBytes) };
  },
  read: ({ position, sizeBytes }) => readPart(opened(file), position, sizeBytes),
  attributes: () => readExtendedAttributes(opened(file)),
};

process.on('message', ({ call, request }: FarQuestion) => {
  process.send?.(answer(call, request));
});
// Says that it is ready.
process.send?.({});
process.on('disconnect', () => process.exit(0));

function answer<C extends FarCall>(call: C, request: FarRequest<C>): FarReply {
  try {
    const perform = calls[call] as (request: FarRequest<C>) => FarAnswer<C>;
    const value = perform(request);
    if (!isContent(value)) return { value };
    const { bytes } = value;
    // Waits until all of it is taken: content and message come from one reading.
    for (let done = 0; done < bytes.byteLength; ) done += writeSync(contentFile, bytes, done);
    return { value: { ...value, bytes: new Uint8Array(0) }, contentBytes: bytes.byteLength };
  } catch (error) {
    return { error: serializeError(error) };
  }
}

function isContent(value: FarAnswer<FarCall>): value is FarPart {
  return typeof value === 'object' && 'bytes' in value;
}

function opened(descriptor: number | undefined): number {
  if (descriptor !== undefined) return descriptor;
  throw new HoldfastError('ASSERTION_FAILED', { message: 'something is open' });
}

function readPart(fd: number, position: number, sizeBytes: number): FarPart {
  if (contents.byteLength < sizeBytes) contents = pages(sizeBytes);
  const bytes = contents.subarray(0, sizeBytes);
  let done = 0;
  let atEnd = false;
  while (done < sizeBytes && !atEnd) {
    const count = readOnce(fd, bytes.subarray(done), position + done);
    done += count;
    atEnd = count === 0;
  }
  return { bytes: bytes.subarray(0, done), atEnd, status: readStatusOf(fd) };
}

/** Memory that starts with a page: the system may divide other reads, and an error then tells a wrong offset. */
function pages(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / 65_536) }).buffer);
}

function readOnce(fd: number, target: Uint8Array, position: number): number {
  try {
    return readAt(fd, target, position);
  } catch (cause) {
    throw new HoldfastError('SOURCE_FAILED', { details: { offset: position }, cause });
  }
}

function readEntries(fd: number, names: readonly Uint8Array[]): FarEntry[] {
  const attributeErrors = new Map<string, SerializedError[]>();
  const own = names.map((name) => Uint8Array.from(name));
  const found = scanNames(fd, own, {
    extendedAttributes: true,
    onAttributeProblem: (name, error) => {
      const text = byteTextOf(name);
      attributeErrors.set(text, [...(attributeErrors.get(text) ?? []), serializeError(error)]);
    },
  });
  let at = 0;
  return own.map((name): FarEntry => {
    const entry = found[at];
    // What has vanished is left out of what was found, the order is kept.
    if (entry === undefined || Buffer.compare(entry.name, name) !== 0) return { name };
    at++;
    const { status, extendedAttributes } = entry;
    if (status instanceof HoldfastError) return { name, status: { error: serializeError(status) } };
    const errors = attributeErrors.get(byteTextOf(name));
    return {
      name,
      status,
      extendedAttributes,
      ...(status.kind === 'symlink' ? { linkTarget: readTarget(fd, name) } : {}),
      ...(errors ? { attributeErrors: errors } : {}),
    };
  });
}

function readTarget(
  fd: number,
  name: Uint8Array<ArrayBuffer>,
): NonNullable<FarEntry['linkTarget']> {
  try {
    return readLinkAt(fd, name);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { error: serializeError(error) };
  }
}
