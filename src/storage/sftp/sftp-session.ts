import type { Readable, Writable } from 'node:stream';

import { sizeOfParts } from '../../base/bytes.ts';
import { defined } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { describeError, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { Budget } from './budget.ts';
import { Frames } from './frames.ts';
import {
  type Attributes,
  PacketReader,
  PacketWriter,
  replies,
  type RequestType,
  requests,
  statusCodes,
  WireError,
} from './wire.ts';

/** A way to a server of the protocol: its end of a channel, or a program's input and output. */
export interface Transport {
  readonly input: Readable;
  readonly output: Writable;
  /** To be called before something is written: what is written in the same turn goes out together. */
  beforeWrite(): void;
  /** Calls `listener` when it has ended: with the reason, if more is known than that it did. */
  onEnd(listener: (reason: Error | undefined) => void): void;
  /** Opens a further one over the same connection; absent where there can be none. It ends alone, and with this one. */
  another?(): Promise<Transport>;
  close(): void;
}

/** How long a session may be silent, and by which clock. */
export interface SessionOptions {
  readonly clock: Clock;
  /** A session in which requests wait and nothing comes for so long is given up. */
  readonly stuckRequestMs: number;
}

/** A server's refusal of one request; translated where it leaves this store. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message === '' ? `status ${status}` : message);
    this.status = status;
  }
}

/** What the server offers besides the protocol, and how much it takes at once. */
export interface ServerLimits {
  readonly readSizeBytes: number;
  readonly writeSizeBytes: number;
}

/** An entry of a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly attributes: Attributes;
}

/** What a server has sent in answer to one request. */
interface Reply {
  readonly type: number;
  readonly body: PacketReader;
}

interface Question {
  /** Of the file contents that go or come with it. */
  readonly sizeBytes: number;
  /** Where data of the reply go. */
  readonly target?: Uint8Array;
  /** Takes the reply apart while it is there. */
  readonly accept: (reply: Reply) => number;
}

interface Pending extends Question {
  readonly resolve: (value: number) => void;
  readonly reject: (error: unknown) => void;
}

const protocolVersion = 3;
const requestsInFlightMax = 64;
/** Twice the window of a channel of ssh2: the line is never empty, and no more than this waits in memory. */
const bytesInFlightMax = 4 << 20;
/** What every server takes (the draft asks for 32,768 bytes of content). */
const contentSizeBytesSure = 32 * 1024;
const contentSizeBytesMax = 255 * 1024;
const handleSizeBytesMax = 256;
const messageLengthMax = 200;
const extensionsMax = 100;
/** Requests of the largest content have room for it and their head. */
const headRoomBytes = 64 + handleSizeBytesMax;
const spareFramesMax = 16;
const helloId = 0xffffffff;

/**
 * One session of the protocol. Requests may be made at any time, and are answered in any order.
 *
 * Every call throws BACKEND_UNAVAILABLE once the connection is lost, PROTOCOL_BROKEN once the server has sent what is not of the
 * protocol, and StatusError for what the server refuses.
 */
export class SftpSession {
  readonly #transport: Transport;
  readonly #options: SessionOptions;
  readonly #frames: Frames;
  readonly #pending = new Map<number, Pending>();
  readonly #budget = new Budget({ requests: requestsInFlightMax, bytes: bytesInFlightMax });
  readonly #extensions = new Map<string, string>();
  readonly #watch: Timer;
  #spareFrames: Buffer[] = [];
  #onIdle: PromiseWithResolvers<void> | undefined;
  #nextId = 0;
  #failure: HoldfastError | undefined;
  #lastHeardMs: number;
  #limits: ServerLimits = {
    readSizeBytes: contentSizeBytesSure,
    writeSizeBytes: contentSizeBytesSure,
  };
  #hello: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  private constructor(transport: Transport, options: SessionOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#frames = new Frames({
      target: (id, sizeBytes) => this.#target(id, sizeBytes),
      data: (id, sizeBytes) => this.#settle(id, (pending) => pending.resolve(sizeBytes)),
      packet: (type, id, body) => this.#packet(type, id, body),
    });
    this.#lastHeardMs = options.clock.monotonicMs();
    this.#watch = options.clock.every(Math.ceil(options.stuckRequestMs / 4), () => this.#look());
    this.#listen();
  }

  /** Greets the server. @throws PROTOCOL_BROKEN, BACKEND_UNAVAILABLE */
  static async start(transport: Transport, options: SessionOptions): Promise<SftpSession> {
    const session = new SftpSession(transport, options);
    try {
      await session.#greet();
      await session.#askLimits();
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** Why no further request is possible; undefined as long as there may be some. */
  get failure(): HoldfastError | undefined {
    return this.#failure;
  }

  get limits(): ServerLimits {
    return this.#limits;
  }

  /** Whether the server has said that it knows this extension. */
  offers(extension: string): boolean {
    return this.#extensions.has(extension);
  }

  /** Number of requests that wait for an answer. */
  get busyCount(): number {
    return this.#pending.size;
  }

  async open(path: string, flags: number, mode?: number): Promise<Buffer> {
    const packet = this.#begin(requests.open).string(path).number(flags).mode(mode);
    return this.#handleOf(packet);
  }

  async openFolder(path: string): Promise<Buffer> {
    return this.#handleOf(this.#begin(requests.openFolder).string(path));
  }

  async closeHandle(handle: Uint8Array): Promise<void> {
    await this.#ok(this.#begin(requests.close).string(handle));
  }

  /**
   * Reads into `target`, which the caller leaves alone until the call returns.
   *
   * @returns number of bytes that were read, possibly less than there is room for; 0 at the end of the file
   */
  async read(handle: Uint8Array, offset: number, target: Uint8Array): Promise<number> {
    const packet = this.#begin(requests.read).string(handle).long(offset);
    return this.#ask(packet.number(target.byteLength), {
      target,
      sizeBytes: target.byteLength,
      accept: ({ type, body }) => {
        const status = readStatus(type, body);
        if (status?.status === statusCodes.endOfFile) return 0;
        throw status ?? unexpected(type);
      },
    });
  }

  /**
   * Writes parts of content as one request.
   *
   * @param parts at most `limits.writeSizeBytes`, left alone by the caller until the call returns
   */
  async write(handle: Uint8Array, offset: number, parts: readonly Uint8Array[]): Promise<void> {
    const sizeBytes = sizeOfParts(parts);
    await this.#send({ sizeBytes, accept: acceptOk }, (id) => {
      const frame = this.#spareFrames.pop() ?? this.#newFrame();
      const length = fillWrite(frame, { id, handle, offset, sizeBytes, parts });
      this.#transport.output.write(frame.subarray(0, length), () => {
        if (this.#spareFrames.length < spareFramesMax) this.#spareFrames.push(frame);
      });
    });
  }

  /** Attributes of what a path leads to, links followed. */
  async stat(path: string): Promise<Attributes> {
    return this.#attributesOf(this.#begin(requests.stat).string(path));
  }

  async setMode(handle: Uint8Array, mode: number): Promise<void> {
    await this.#ok(this.#begin(requests.setAttributesOfHandle).string(handle).mode(mode));
  }

  /** The next entries of an open folder; none at its end. */
  async readFolder(handle: Uint8Array): Promise<FolderEntry[]> {
    let entries: FolderEntry[] = [];
    await this.#ask(this.#begin(requests.readFolder).string(handle), {
      accept: ({ type, body }) => {
        const status = readStatus(type, body);
        if (status?.status === statusCodes.endOfFile) return 0;
        if (type !== replies.names) throw status ?? unexpected(type);
        entries = readNames(body);
        // Who gives none and does not say that this is the end could go on so for ever.
        if (entries.length === 0) throw new WireError('a part of a folder without any entry');
        return 0;
      },
    });
    return entries;
  }

  async remove(path: string): Promise<void> {
    await this.#ok(this.#begin(requests.remove).string(path));
  }

  async makeFolder(path: string, mode: number): Promise<void> {
    await this.#ok(this.#begin(requests.makeFolder).string(path).mode(mode));
  }

  /** By the protocol, a target that exists is left alone. Not every server keeps to that. */
  async rename(from: string, to: string): Promise<void> {
    await this.#ok(this.#begin(requests.rename).string(from).string(to));
  }

  /** An extension that says only whether it worked. */
  async extended(name: string, ...strings: readonly (string | Uint8Array)[]): Promise<void> {
    const packet = this.#begin(requests.extended).string(name);
    for (const text of strings) packet.string(text);
    await this.#ok(packet);
  }

  /** An extension that answers with numbers of 64 bits. */
  async numbers(name: string, ...strings: readonly string[]): Promise<number[]> {
    const packet = this.#begin(requests.extended).string(name);
    for (const text of strings) packet.string(text);
    const numbers: number[] = [];
    await this.#ask(packet, {
      accept: ({ type, body }) => {
        if (type !== replies.extended) throw readStatus(type, body) ?? unexpected(type);
        while (!body.isAtEnd) numbers.push(body.long());
        return 0;
      },
    });
    return numbers;
  }

  /** A further session over the same connection; undefined where there can be none. @throws what opening one throws */
  async another(): Promise<SftpSession | undefined> {
    const transport = await this.#transport.another?.();
    return transport && (await SftpSession.start(transport, this.#options));
  }

  /** Resolves once nothing waits for an answer. */
  async idle(): Promise<void> {
    if (this.#pending.size === 0 || this.#failure) return;
    this.#onIdle ??= Promise.withResolvers<void>();
    await this.#onIdle.promise;
  }

  /** Ends the session; what waits fails. Idempotent. */
  close(): void {
    this.#fail(lost('the connection was closed'));
  }

  #listen(): void {
    const { input, output } = this.#transport;
    input.on('data', (chunk: Buffer) => this.#hear(chunk));
    // What they say is heard by `onEnd`; an error without a listener would end the program.
    for (const stream of [input, output]) stream.on('error', () => {});
    this.#transport.onEnd((reason) =>
      this.#fail(lost('the connection to the server was lost', reason)),
    );
  }

  #hear(chunk: Buffer): void {
    if (this.#failure) return;
    try {
      this.#frames.push(chunk);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#fail(this.#hello ? notSftp(error) : broken(error));
    }
  }

  async #greet(): Promise<void> {
    const hello = Promise.withResolvers<void>();
    this.#hello = hello;
    this.#transport.output.write(
      new PacketWriter(requests.init).number(protocolVersion).finish(),
      () => {},
    );
    await hello.promise;
  }

  async #askLimits(): Promise<void> {
    if (!this.offers('limits@openssh.com')) return;
    const [, readSizeBytes = 0, writeSizeBytes = 0] = await this.numbers('limits@openssh.com');
    this.#limits = { readSizeBytes: clamp(readSizeBytes), writeSizeBytes: clamp(writeSizeBytes) };
    this.#spareFrames = [];
  }

  #begin(type: RequestType): PacketWriter {
    return new PacketWriter(type).number(0);
  }

  async #ok(packet: PacketWriter): Promise<void> {
    await this.#ask(packet, { accept: acceptOk });
  }

  async #handleOf(packet: PacketWriter): Promise<Buffer> {
    let handle: Buffer | undefined;
    await this.#ask(packet, {
      accept: ({ type, body }) => {
        if (type !== replies.handle) throw readStatus(type, body) ?? unexpected(type);
        const bytes = body.string();
        if (bytes.length > handleSizeBytesMax) throw new WireError('a handle that is too long');
        handle = Buffer.from(bytes);
        return 0;
      },
    });
    return defined(handle, 'the reply was accepted');
  }

  async #attributesOf(packet: PacketWriter): Promise<Attributes> {
    let attributes: Attributes = {};
    await this.#ask(packet, {
      accept: ({ type, body }) => {
        if (type !== replies.attributes) throw readStatus(type, body) ?? unexpected(type);
        attributes = body.attributes();
        return 0;
      },
    });
    return attributes;
  }

  #ask(
    packet: PacketWriter,
    how: Omit<Question, 'sizeBytes'> & { readonly sizeBytes?: number },
  ): Promise<number> {
    return this.#send({ sizeBytes: 0, ...how }, (id) => {
      const bytes = packet.finish();
      bytes.writeUInt32BE(id, 5);
      this.#transport.output.write(bytes, () => {});
    });
  }

  /** Makes requests in the order of the calls, as soon as there may be one more. @param write puts it on the line */
  #send(question: Question, write: (id: number) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#budget.take(question.sizeBytes, () => {
        if (this.#failure) {
          this.#budget.give(question.sizeBytes);
          return reject(this.#failure);
        }
        const id = this.#takeId();
        if (this.#pending.size === 0) this.#lastHeardMs = this.#options.clock.monotonicMs();
        this.#pending.set(id, { ...question, resolve, reject });
        this.#transport.beforeWrite();
        write(id);
      });
    });
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId + 1) % helloId;
    while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  #newFrame(): Buffer {
    return Buffer.allocUnsafeSlow(this.#limits.writeSizeBytes + headRoomBytes);
  }

  #target(id: number, sizeBytes: number): Uint8Array {
    const target = this.#pending.get(id)?.target;
    if (!target) throw new WireError('data that were not asked for');
    if (sizeBytes > target.byteLength) throw new WireError('more data than were asked for');
    return target.subarray(0, sizeBytes);
  }

  #packet(type: number, id: number, body: Buffer): void {
    if (this.#hello) return this.#meet(type, id, body);
    this.#settle(id, (pending) => {
      try {
        pending.resolve(pending.accept({ type, body: new PacketReader(body) }));
      } catch (error) {
        pending.reject(error instanceof WireError ? broken(error) : error);
        if (error instanceof WireError) throw error;
      }
    });
  }

  #settle(id: number, how: (pending: Pending) => void): void {
    const pending = this.#pending.get(id);
    if (!pending) throw new WireError('an answer to nothing that was asked');
    this.#pending.delete(id);
    // Not with each byte: a server that answers byte by byte has not answered.
    this.#lastHeardMs = this.#options.clock.monotonicMs();
    how(pending);
    this.#budget.give(pending.sizeBytes);
    if (this.#pending.size === 0) this.#onIdle?.resolve();
  }

  #meet(type: number, version: number, body: Buffer): void {
    const isKnown = type === replies.version && version >= protocolVersion;
    if (!isKnown) throw new WireError(`the version ${version} in a packet of type ${type}`);
    const reader = new PacketReader(body);
    for (let count = 0; !reader.isAtEnd && count < extensionsMax; count++) {
      this.#extensions.set(reader.string().toString(), reader.string().toString());
    }
    this.#hello?.resolve();
    this.#hello = undefined;
  }

  #look(): void {
    const isWaiting = this.#pending.size > 0 || this.#hello !== undefined;
    const silentMs = this.#options.clock.monotonicMs() - this.#lastHeardMs;
    if (!isWaiting || silentMs < this.#options.stuckRequestMs) return;
    this.#fail(lost(`the server has not answered for ${Math.round(silentMs / 1000)} s`));
  }

  #fail(error: HoldfastError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#watch.stop();
    this.#hello?.reject(error);
    this.#hello = undefined;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    this.#onIdle?.resolve();
    for (const { reject, sizeBytes } of waiting) {
      reject(error);
      this.#budget.give(sizeBytes);
    }
    this.#transport.close();
  }
}

interface WriteRequest {
  readonly id: number;
  readonly handle: Uint8Array;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly parts: readonly Uint8Array[];
}

/** Writes the packet of a write into `frame`, head and content, so that it goes in one piece. @returns its length */
function fillWrite(frame: Buffer, { id, handle, offset, sizeBytes, parts }: WriteRequest): number {
  const head = new PacketWriter(requests.write, headRoomBytes)
    .number(id)
    .string(handle)
    .long(offset)
    .number(sizeBytes)
    .finish();
  frame.set(head);
  let length = head.length;
  for (const part of parts) {
    frame.set(part, length);
    length += part.byteLength;
  }
  frame.writeUInt32BE(length - 4, 0);
  return length;
}

function acceptOk({ type, body }: Reply): number {
  if (type !== replies.status) throw unexpected(type);
  const code = body.number();
  if (code !== statusCodes.ok) throw statusError(code, body);
  return 0;
}

/** The status in a reply, or undefined if it holds none. */
function readStatus(type: number, body: PacketReader): StatusError | undefined {
  return type === replies.status ? statusError(body.number(), body) : undefined;
}

function statusError(code: number, body: PacketReader): StatusError {
  // Old servers send no text.
  const text = body.isAtEnd ? '' : body.string().toString().slice(0, messageLengthMax);
  return new StatusError(code, text);
}

function readNames(body: PacketReader): FolderEntry[] {
  const entries: FolderEntry[] = [];
  for (let left = body.number(); left > 0; left--) {
    const name = body.string().toString();
    body.string();
    entries.push({ name, attributes: body.attributes() });
  }
  return entries;
}

function unexpected(type: number): WireError {
  return new WireError(`a reply of the wrong type ${type}`);
}

/** What the server says it takes, within what this program gives; 0 stands for no limit. */
function clamp(sizeBytes: number): number {
  if (sizeBytes === 0) return contentSizeBytesMax;
  return Math.max(1024, Math.min(sizeBytes, contentSizeBytesMax));
}

function broken(cause: WireError): HoldfastError {
  return new HoldfastError('PROTOCOL_BROKEN', {
    message: 'the server answers against the protocol of SFTP',
    cause,
  });
}

function notSftp(cause: WireError): HoldfastError {
  return new HoldfastError('PROTOCOL_BROKEN', {
    message: 'the server does not answer as one of SFTP',
    hint: 'A script that runs at login may print a text, or the server may offer no SFTP.',
    cause,
  });
}

function lost(message: string, cause?: unknown): HoldfastError {
  if (isHoldfastError(cause)) return cause;
  return new HoldfastError('BACKEND_UNAVAILABLE', {
    message: cause === undefined ? message : `${message}: ${describeError(cause)}`,
  });
}
