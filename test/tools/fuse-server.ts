import { spawnSync } from 'node:child_process';
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.ts';
import { type FuseFile, type FuseSpec, fuseByte } from './fuse-spec.ts';

/**
 * A file system of files that misbehave, straight on /dev/fuse: `fuse-server.ts MOUNTPOINT SPEC`, for root.
 * Prints `ready` when it is mounted; ends when it is unmounted.
 * @see linux/include/uapi/linux/fuse.h, protocol 7.31
 */
const [, , mountPoint = '', specText = '{}'] = process.argv;
const spec = JSON.parse(specText) as FuseSpec;

const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  open: 14,
  read: 15,
  statfs: 17,
  release: 18,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;
const errno = { ENOENT: 2, EIO: 5, ENOSYS: 38 } as const;
const headerBytes = 16;
const directIo = 1;
/** The root is 1. */
const firstFileNode = 2;
const longAgoSeconds = 1_700_000_000;

class FileState {
  readonly spec: FuseFile;
  readonly node: number;
  sizeBytes: number;
  changes = 0;
  readings = 0;
  #seconds: number | undefined;

  constructor(file: FuseFile, node: number) {
    this.spec = file;
    this.node = node;
    this.sizeBytes = file.sizeBytes;
  }

  /** Its times. */
  get seconds(): number {
    const isNow = this.spec.seconds === 'first asked';
    this.#seconds ??= isNow ? Math.floor(systemClock.wallMs() / 1000) : longAgoSeconds;
    return this.#seconds;
  }

  get contentBytes(): number {
    const { contentBytes } = this.spec;
    return contentBytes === 'endless' ? Infinity : (contentBytes ?? this.sizeBytes);
  }

  /** Before each read: something may write to the file. */
  touch(offset: number): void {
    if (offset === 0) this.readings++;
    if (this.readings > (this.spec.changingReads ?? 0)) return;
    this.changes++;
    if (offset === 0) this.sizeBytes = Math.max(0, this.sizeBytes + (this.spec.growsBy ?? 0));
  }
}

const names = Object.keys(spec.files);
const files = Object.values(spec.files).map((file, i) => new FileState(file, firstFileNode + i));
const device = openSync('/dev/fuse', constants.O_RDWR);

function reply(unique: bigint, error: number, body: Uint8Array = new Uint8Array(0)): void {
  const out = Buffer.alloc(headerBytes + body.byteLength);
  out.writeUInt32LE(out.byteLength, 0);
  out.writeInt32LE(-error, 4);
  out.writeBigUInt64LE(unique, 8);
  out.set(body, headerBytes);
  try {
    writeSync(device, out);
  } catch (failure) {
    // The asker was killed meanwhile.
    if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') throw failure;
  }
}

function attributes(node: number): Buffer {
  const file = files[node - firstFileNode];
  const out = Buffer.alloc(88);
  const sizeBytes = file?.sizeBytes ?? 0;
  out.writeBigUInt64LE(BigInt(node), 0);
  out.writeBigUInt64LE(BigInt(sizeBytes), 8);
  out.writeBigUInt64LE(BigInt(Math.ceil(sizeBytes / 512)), 16);
  for (const at of [24, 32, 40]) {
    out.writeBigUInt64LE(BigInt(file?.seconds ?? longAgoSeconds), at);
  }
  for (const at of [48, 52, 56]) out.writeUInt32LE(file?.changes ?? 0, at);
  const isFile = file !== undefined && !file.spec.isDirectory;
  out.writeUInt32LE(isFile ? 0o100644 : 0o40755, 60);
  out.writeUInt32LE(isFile ? 1 : 2, 64);
  out.writeUInt32LE(4096, 80);
  return out;
}

/** No caching, of names or attributes: zero seconds valid. */
function entryOf(node: number): Buffer {
  const out = Buffer.alloc(40);
  out.writeBigUInt64LE(BigInt(node), 0);
  return Buffer.concat([out, attributes(node)]);
}

function listing(offset: number): Buffer {
  if (offset > 0) return Buffer.alloc(0);
  return Buffer.concat(
    names.map((name, i) => {
      const text = Buffer.from(name);
      const out = Buffer.alloc(24 + Math.ceil(text.byteLength / 8) * 8);
      out.writeBigUInt64LE(BigInt(firstFileNode + i), 0);
      out.writeBigUInt64LE(BigInt(i + 1), 8);
      out.writeUInt32LE(text.byteLength, 16);
      const type = files[i]?.spec.isDirectory ? constants.S_IFDIR : constants.S_IFREG;
      out.writeUInt32LE(type >> 12, 20);
      out.set(text, 24);
      return out;
    }),
  );
}

let isDead = spec.hangs ?? false;

/** True if this call of the file gets no answer. */
function hangs(file: FileState | undefined, call: FuseFile['hangs']): boolean {
  if (file === undefined || file.spec.hangs !== call) return false;
  isDead ||= spec.diesOfHanging ?? false;
  return true;
}

function readFile(unique: bigint, file: FileState, body: Buffer): void {
  const offset = Number(body.readBigUInt64LE(8));
  const size = body.readUInt32LE(16);
  if (hangs(file, 'read')) return;
  file.touch(offset);
  const end = Math.min(offset + size, file.contentBytes);
  const { broken } = file.spec;
  if (broken && offset < broken.end && end > broken.start) return reply(unique, broken.errno);
  const bytes = Buffer.alloc(Math.max(0, end - offset));
  const shift = file.spec.changesUnseen && file.readings > 1 ? 1 : 0;
  for (let i = 0; i < bytes.byteLength; i++) bytes[i] = fuseByte(offset + i + shift);
  reply(unique, 0, bytes);
}

function initReply(): Buffer {
  const out = Buffer.alloc(64);
  for (const [i, value] of [7, 31, 0, 0].entries()) out.writeUInt32LE(value, 4 * i);
  out.writeUInt32LE(131_072, 20);
  out.writeUInt32LE(1, 24);
  return out;
}

function answer(request: Buffer): void {
  const operation = request.readUInt32LE(4);
  const unique = request.readBigUInt64LE(8);
  const node = Number(request.readBigUInt64LE(16));
  const body = request.subarray(40);
  const file = files[node - firstFileNode];
  if (operation === opcode.init) return reply(unique, 0, initReply());
  if (isDead) return;
  switch (operation) {
    case opcode.lookup: {
      const found = names.indexOf(body.subarray(0, body.indexOf(0)).toString());
      if (found < 0) return reply(unique, errno.ENOENT);
      return reply(unique, 0, entryOf(firstFileNode + found));
    }
    case opcode.getattr:
      if (hangs(file, 'getattr')) return;
      return reply(unique, 0, Buffer.concat([Buffer.alloc(16), attributes(node)]));
    case opcode.open: {
      if (hangs(file, 'open')) return;
      if (file?.spec.openErrno) return reply(unique, file.spec.openErrno);
      const out = Buffer.alloc(16);
      out.writeUInt32LE(directIo, 8);
      return reply(unique, 0, out);
    }
    case opcode.opendir:
      return reply(unique, spec.listErrno ?? 0, spec.listErrno ? undefined : Buffer.alloc(16));
    case opcode.readdir:
      if (hangs(file, 'readdir')) return;
      return reply(unique, 0, file ? undefined : listing(Number(body.readBigUInt64LE(8))));
    case opcode.read:
      if (!file) return reply(unique, errno.EIO);
      return readFile(unique, file, body);
    case opcode.statfs:
      return reply(unique, 0, Buffer.alloc(80));
    case opcode.release:
    case opcode.releasedir:
    case opcode.flush:
      return reply(unique, 0);
    case opcode.forget:
    case opcode.batchForget:
    case opcode.interrupt:
      return;
    case opcode.destroy:
      return reply(unique, 0);
    default:
      return reply(unique, errno.ENOSYS);
  }
}

const rights = `fd=3,rootmode=40000,user_id=0,group_id=0,allow_other`;
const mounted = spawnSync(
  'mount',
  ['-i', '-t', 'fuse', '-o', rights, 'holdfast-test', mountPoint],
  {
    stdio: ['ignore', 'inherit', 'inherit', device],
  },
);
if (mounted.status !== 0) process.exit(1);
const buffer = Buffer.alloc(1 << 18);
let isReady = false;
for (;;) {
  let size: number;
  try {
    size = readSync(device, buffer);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A request that was interrupted before it was read; the end of the mount.
    if (code === 'ENOENT' || code === 'EINTR' || code === 'EAGAIN') continue;
    if (code === 'ENODEV') process.exit(0);
    throw error;
  }
  answer(buffer.subarray(0, size));
  if (!isReady) writeSync(1, 'ready\n');
  isReady = true;
}
