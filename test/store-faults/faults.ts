import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';

import type { FileHandle } from '../../src/storage/backend.ts';
import type { Fault } from '../../src/storage/fault.ts';
import { MemoryBackend } from '../../src/storage/memory/memory-backend.ts';
import type { HttpHarm } from '../tools/http-fault-proxy.ts';
import {
  type Armed,
  type Arming,
  atCall,
  byBackend,
  byHttp,
  byLine,
  byRule,
  forAll,
  hopeOf,
  type Losses,
  type StoreFault,
} from './fault-kit.ts';
import {
  type ComingCall,
  LateListBackend,
  MisdirectedBackend,
  StaleReadBackend,
  TwiceBackend,
  WildListBackend,
} from './spoilt-backends.ts';

const never = Number.POSITIVE_INFINITY;
/** Wrong bytes are read again once. */
const once = { countMax: 1 } as const;
const twice = { countMax: 2 } as const;
const s3Type = { 'content-type': 'application/xml' };

function s3Error(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
}

function answerOf(
  { served }: Arming,
  { status, code, headers }: { status: number; code: string; headers?: Record<string, string> },
): HttpHarm {
  return served.kind === 's3'
    ? { does: 'answer', status, headers: { ...s3Type, ...headers }, body: s3Error(code) }
    : { does: 'answer', status, ...(headers && { headers }) };
}

const failing: Readonly<Record<'get' | 'put' | 'list' | 'stat' | 'remove', readonly Fault[]>> = {
  get: [{ kind: 'error', code: 'BACKEND_READ_FAILED' }],
  stat: [{ kind: 'error', code: 'BACKEND_READ_FAILED' }],
  list: [
    { kind: 'error', code: 'BACKEND_READ_FAILED' },
    { kind: 'error-after', code: 'BACKEND_READ_FAILED' },
  ],
  put: [{ kind: 'error', code: 'BACKEND_WRITE_FAILED' }],
  remove: [{ kind: 'error', code: 'BACKEND_WRITE_FAILED' }],
};

function refusing(code: 'PERMISSION_DENIED' | 'READ_ONLY'): typeof failing {
  const refused: readonly Fault[] = [{ kind: 'error', code }];
  const isReadable = code === 'READ_ONLY';
  const read = isReadable ? [] : refused;
  return { get: read, stat: read, list: read, put: refused, remove: refused };
}

/** Bytes after which a line breaks: any magnitude is as likely. */
function bytesOf({ chance }: Arming): number {
  return Math.floor(2 ** (chance.next() * 17));
}

/** Of a refusing server, as its client counts time: its waits between tries take a moment, whatever the machine is busy with. */
const outageMs = 20_000;

async function brokenLine(arming: Arming): Promise<Armed> {
  const { chance, served, client, isLasting } = arming;
  const does = chance.pick(['reset', 'stall', 'truncate', 'refuse'] as const);
  if (does === 'refuse') {
    const { tcp } = served;
    const refuse = async (): Promise<void> => {
      await tcp?.refuse();
      if (!isLasting) client.clock.after(outageMs, async () => tcp?.accept());
    };
    return atCall(arming, refuse, {
      how: { way: 'tcp' },
      heal: () => tcp?.accept(),
      hopes: hopeOf(arming),
    });
  }
  const fault = { does, way: chance.pick(['up', 'down'] as const), afterBytes: bytesOf(arming) };
  const how = { way: 'tcp', stuckRequestMs: does === 'stall' || isLasting ? 400 : 3000 } as const;
  return byLine(arming, [fault], { how });
}

/** Answers that ask for another try. */
function busyServer(arming: Arming): Armed {
  const { chance } = arming;
  const status = chance.pick([500, 502, 503, 504]);
  const headers: Record<string, string> = chance.below(2) ? { 'retry-after': '2' } : {};
  const code = status === 503 ? 'SlowDown' : 'InternalError';
  return byHttp(arming, 'all')(answerOf(arming, { status, code, headers }));
}

function throttled(arming: Arming): Armed {
  const headers = { 'retry-after': String(1 + arming.chance.below(9)) };
  return byHttp(arming, 'all')(answerOf(arming, { status: 429, code: 'TooManyRequests', headers }));
}

const refusals = ['PERMISSION_DENIED', 'CREDENTIALS_REFUSED', 'READ_ONLY', 'LOCK_LOST'];

/** Rights that are gone in the middle. */
function refused(arming: Arming): Armed {
  const { chance, served } = arming;
  const answer =
    served.kind === 's3'
      ? chance.pick([
          { status: 403, code: 'AccessDenied' },
          { status: 400, code: 'ExpiredToken' },
          { status: 403, code: 'RequestTimeTooSkewed' },
          { status: 403, code: 'InvalidAccessKeyId' },
        ])
      : chance.pick([
          { status: 403, code: '' },
          { status: 401, code: '' },
        ]);
  return byHttp(arming, 'all')(answerOf(arming, answer), { hopes: 'any' });
}

/** The other bytes of one stored file, until it is healed. */
async function rotten(arming: Arming): Promise<Armed> {
  const { place, chance, operation } = arming;
  const backend = await place.openSound();
  const type = chance.pick(['pack', 'pack', 'pack', 'index', 'snapshot'] as const);
  const names: string[] = [];
  for await (const { name } of backend.list(type)) names.push(name);
  if (names.length === 0) {
    await backend.close();
    return { strikes: () => 0, hopes: 'recovers' };
  }
  const handle: FileHandle = { type, name: chance.pick(names.toSorted()) };
  const content = await backend.get(handle);
  const bad = content.slice();
  const at = chance.below(bad.byteLength);
  bad[at] = (bad[at] ?? 0) ^ (1 << chance.below(8));
  await place.plant(handle, bad);
  return {
    strikes: () => 1,
    hopes: operation === 'check' ? 'told' : 'any',
    heal: async () => {
      const isThere = await backend.stat(handle).then(
        () => true,
        () => false,
      );
      if (isThere) await place.plant(handle, content);
      await backend.close();
    },
  };
}

/** Takes the last byte of a disk. */
function fillDisk(disk: string): void {
  const file = openSync(path.join(disk, 'filler'), 'a');
  for (let sizeBytes = 1 << 20; sizeBytes >= 1; ) {
    try {
      writeSync(file, new Uint8Array(sizeBytes));
    } catch {
      sizeBytes >>= 1;
    }
  }
  closeSync(file);
}

function fullDisk(arming: Arming): Armed {
  const disk = arming.place.disk ?? '';
  return atCall(arming, () => fillDisk(disk), {
    hopes: 'any',
    codes: ['STORAGE_FULL', 'LOCK_LOST'],
    heal: () => rmSync(path.join(disk, 'filler'), { force: true }),
  });
}

function readOnlyDisk(arming: Arming): Armed {
  const disk = arming.place.disk ?? '';
  const remount = (how: string): void => {
    execFileSync('mount', ['-o', `remount,${how}`, disk], { stdio: 'ignore' });
  };
  const strike = (): void => {
    // Files that are just written keep it from being made so.
    try {
      remount('ro');
    } catch {
      return;
    }
  };
  return atCall(arming, strike, {
    hopes: 'any',
    codes: ['READ_ONLY', 'PERMISSION_DENIED', 'LOCK_LOST'],
    heal: () => remount('rw'),
  });
}

const skews = [-3, 3, -30, 30, 24 * 365 * 15].map((hours) => hours * 3_600_000);

/** A calendar that is wrong from the start, or jumps in the middle. */
function wrongClock(arming: Arming): Armed {
  const { chance, client, served } = arming;
  const skewMs = chance.pick(skews);
  if (chance.below(2) === 0 || served.kind === 's3') {
    client.clock.skewMs = skewMs;
    return { how: { skewMs }, strikes: () => 1, hopes: 'recovers' };
  }
  const jump = (): void => {
    client.clock.skewMs = skewMs;
  };
  return atCall(arming, jump, { hopes: 'any' });
}

const page = '<html><head><title>Welcome</title></head><body>Log in to this network</body></html>';

function captivePortal(arming: Arming): Armed {
  if (arming.chance.below(3) === 0) return nowhere();
  const headers = { 'content-type': 'text/html' };
  const harm = { does: 'answer', status: 200, headers, body: page } as const;
  return byHttp(arming, 'all')(harm, { hopes: 'any' });
}

/** The name of the host leads nowhere. */
function nowhere(): Armed {
  return { how: { isNowhere: true }, strikes: () => 1, hopes: 'told' };
}

/** Things that stay though their removal was reported, or is refused. */
function undying(arming: Arming): Armed {
  const kind = arming.chance.pick(['lost', 'error'] as const);
  const fault: Fault = kind === 'lost' ? { kind } : { kind, code: 'PERMISSION_DENIED' };
  const hopes = arming.operation === 'prune' ? 'any' : 'recovers';
  return byRule({ ...arming, isLasting: true }, { remove: [fault] }, { hopes });
}

/** A line of some tens of kilobytes a second. */
async function slowLine(arming: Arming): Promise<Armed> {
  const { tcp } = arming.served;
  const rate = 60_000 + arming.chance.below(200_000);
  await tcp?.setLine({ downBytesPerSecond: rate, upBytesPerSecond: rate });
  return {
    how: { way: 'tcp' },
    strikes: () => 1,
    hopes: 'recovers',
    heal: async () => {
      await tcp?.setLine({});
      await tcp?.cut();
    },
  };
}

function misdirected(arming: Arming): Armed {
  const { chance, calls, isLasting } = arming;
  const gets = calls.filter(({ operation }) => operation === 'get').length;
  const when = { after: chance.below(Math.max(1, gets)), count: isLasting ? never : 1 };
  return byBackend((store) => new MisdirectedBackend(store, when), { hopes: hopeOf(arming) });
}

function handleOf(key: string): FileHandle {
  const [type, name] = key.split('/');
  return { type, name } as FileHandle;
}

function asksForLock({ operation, type }: ComingCall): boolean {
  return operation === 'stat' && type === 'lock';
}

/** Snapshots that were stored, and whose storing the lock was then asked about: who works looks no more for them. */
function confirmedIn(earlier: readonly ComingCall[]): string[] {
  return earlier.flatMap(({ operation, type, name = '' }, at) => {
    const isStored = operation === 'put' && type === 'snapshot';
    return isStored && earlier.slice(at).some(asksForLock) ? [name] : [];
  });
}

/**
 * Whether a prune cannot know that the storage went back right before this call: what it removes next was listed anew by what
 * was stored in its place, and that is gone.
 */
function isTooLate({ operation, type }: ComingCall): boolean {
  return operation === 'remove' && (type === 'index' || type === 'pack');
}

/** The storage is as it was when the operation began: in the middle of it. */
async function rolledBack(arming: Arming): Promise<Armed> {
  const { place, operation } = arming;
  const before = await place.load();
  let losses: Losses = { snapshots: new Set(), mayUnlist: false };
  const rollBack = async (call: ComingCall, earlier: readonly ComingCall[]): Promise<void> => {
    const snapshots = new Set(confirmedIn(earlier));
    losses = { snapshots, mayUnlist: operation === 'prune' && isTooLate(call) };
    const backend = await place.openSound();
    const sound = new MemoryBackend(before);
    const now = await place.load();
    for (const key of before.keys()) {
      const handle = handleOf(key);
      if (!now.has(key)) await backend.put(handle, [await sound.get(handle)]);
    }
    for (const key of now.keys()) if (!before.has(key)) await backend.remove(handleOf(key));
    await backend.close();
  };
  // Who only reads is not met by it: what he reads is there before and after.
  const isReader = operation === 'restore';
  return atCall(arming, rollBack, { hopes: isReader ? 'recovers' : 'any', loses: () => losses });
}

function foreignNames(arming: Arming): Armed {
  const { folder } = arming.place;
  if (folder !== undefined) {
    for (const place of ['data/notes', 'index/README', 'snapshots/.hidden', 'data/ab/half-tmp-1']) {
      mkdirSync(path.dirname(path.join(folder, place)), { recursive: true });
      writeFileSync(path.join(folder, place), 'not of the repository');
    }
  }
  return byBackend((store) => new WildListBackend(store), { hopes: 'recovers' });
}

/** Every fault of the table of faults of a storage, by the stores that it can meet. */
export const storeFaults: readonly StoreFault[] = [
  {
    name: 'B1',
    title: 'connections are refused, reset, cut or stall',
    stores: forAll(['sftp', 'rest', 's3'], brokenLine),
  },
  {
    name: 'B2',
    title: 'the server is overloaded',
    stores: {
      ...forAll(['rest', 's3'], busyServer),
      ...forAll(['local', 'sftp'], (arming) => byRule(arming, failing)),
    },
  },
  { name: 'B3', title: 'too many requests', stores: forAll(['rest', 's3'], throttled) },
  {
    name: 'B4',
    title: 'rights are gone in the middle',
    stores: {
      ...forAll(['rest', 's3'], refused),
      ...forAll(['local', 'sftp'], (arming) =>
        byRule(arming, refusing('PERMISSION_DENIED'), { hopes: 'any' }),
      ),
    },
  },
  {
    name: 'B5',
    title: 'bodies are cut',
    stores: {
      ...forAll(['rest', 's3'], (arming) =>
        byHttp(arming, 'read')(
          { does: 'cut-answer', isSilent: arming.chance.below(2) === 0 },
          once,
        ),
      ),
      ...forAll(['local', 'sftp'], (arming) =>
        byRule(
          arming,
          { get: [{ kind: 'short', sizeBytes: 20 + arming.chance.below(500) }] },
          once,
        ),
      ),
    },
  },
  {
    name: 'B6',
    title: 'a bit flips on the way',
    stores: {
      ...forAll(['rest', 's3'], (arming) =>
        byHttp(arming, 'read')({ does: 'flip-answer', at: arming.chance.next() }, twice),
      ),
      ...forAll(['local', 'sftp'], (arming) =>
        byRule(arming, { get: [{ kind: 'flip', byte: arming.chance.below(100) }] }, twice),
      ),
    },
  },
  {
    name: 'B7',
    title: 'a bit flips at rest',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], rotten),
  },
  {
    name: 'B8',
    title: 'a bit flips while it is sent',
    stores: forAll(['rest', 's3'], (arming) =>
      byHttp(arming, 'write')({ does: 'flip-request', at: arming.chance.next() }),
    ),
  },
  {
    name: 'B9',
    title: 'the answer to a change is lost',
    stores: {
      ...forAll(['rest', 's3'], (arming) => byHttp(arming, 'change')({ does: 'lose-answer' })),
      ...forAll(['local', 'sftp'], (arming) =>
        byRule(arming, {
          put: [{ kind: 'error-after', code: 'BACKEND_UNAVAILABLE' }],
          remove: [{ kind: 'error-after', code: 'BACKEND_UNAVAILABLE' }],
        }),
      ),
    },
  },
  {
    name: 'B10',
    title: 'changes come twice, or late',
    stores: {
      ...forAll(['rest', 's3'], (arming) =>
        byHttp(arming, 'change')(
          arming.chance.pick([{ does: 'twice' }, { does: 'late', byMs: 20 }] as const),
          { hopes: 'recovers' },
        ),
      ),
      ...forAll(['local', 'sftp'], () =>
        byBackend((store) => new TwiceBackend(store), { hopes: 'recovers' }),
      ),
    },
  },
  {
    name: 'B11',
    title: 'uploads are cut',
    stores: {
      ...forAll(['rest', 's3'], (arming) => byHttp(arming, 'write')({ does: 'cut-request' })),
      sftp: (arming) =>
        byLine(arming, [{ does: 'reset', way: 'up', afterBytes: 4000 + bytesOf(arming) }], {
          how: { way: 'tcp', stuckRequestMs: 3000 },
        }),
    },
  },
  {
    name: 'B12',
    title: 'listings are behind',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], () =>
      byBackend((store) => new LateListBackend(store), { hopes: 'recovers' }),
    ),
  },
  {
    name: 'B13',
    title: 'listings have names twice, in any order, and foreign ones',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], foreignNames),
  },
  {
    name: 'B14',
    title: 'what was stored cannot be read at once',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], () =>
      byBackend((store) => new StaleReadBackend(store), { hopes: 'any' }),
    ),
  },
  {
    name: 'B15',
    title: 'the storage is full',
    isAlwaysLasting: true,
    onDisk: true,
    stores: {
      ...forAll(['local', 'sftp', 'rest'], fullDisk),
      s3: (arming) =>
        byHttp(arming, 'write')(answerOf(arming, { status: 507, code: 'InsufficientStorage' }), {
          hopes: 'any',
        }),
    },
  },
  {
    name: 'B16',
    title: 'the disk of the storage fails',
    stores: {
      ...forAll(['local', 'sftp'], (arming) => byRule(arming, failing)),
      ...forAll(['rest', 's3'], (arming) =>
        byHttp(arming, 'all')(answerOf(arming, { status: 500, code: 'InternalError' })),
      ),
    },
  },
  {
    name: 'B17',
    title: 'no more files can be opened',
    isAlwaysLasting: true,
    process: ['prlimit', '--nofile=40'],
    stores: forAll(['local', 'sftp', 'rest', 's3'], () => ({ strikes: () => 1, hopes: 'any' })),
  },
  {
    name: 'B18',
    title: 'the storage is read-only from one moment on',
    isAlwaysLasting: true,
    onDisk: true,
    stores: {
      ...forAll(['local', 'sftp', 'rest'], readOnlyDisk),
      s3: (arming) =>
        byHttp(arming, 'change')(answerOf(arming, { status: 403, code: 'AccessDenied' }), {
          hopes: 'any',
          codes: refusals,
        }),
    },
  },
  {
    name: 'B19',
    title: 'the clock is wrong, or jumps',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], wrongClock),
  },
  {
    name: 'B20',
    title: 'the name leads nowhere, or to a page to log in',
    stores: { ...forAll(['rest', 's3'], captivePortal), sftp: nowhere },
  },
  {
    name: 'B21',
    title: 'the host key has changed',
    isAlwaysLasting: true,
    stores: {
      sftp: (arming) =>
        atCall(arming, () => arming.served.changeHostKey?.(true), {
          hopes: 'any',
          heal: () => arming.served.changeHostKey?.(false),
        }),
    },
  },
  {
    name: 'B22',
    title: 'what was removed stays',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], undying),
  },
  {
    name: 'B23',
    title: 'the line is slow',
    isAlwaysLasting: true,
    stores: forAll(['sftp', 'rest', 's3'], slowLine),
  },
  {
    name: 'B24',
    title: 'another file is given',
    stores: forAll(['local', 'sftp', 'rest', 's3'], misdirected),
  },
  {
    name: 'B25',
    title: 'the storage goes back to an earlier state',
    isAlwaysLasting: true,
    stores: forAll(['local', 'sftp', 'rest', 's3'], rolledBack),
  },
  {
    name: 'B26',
    title: 'packs stand in an archive',
    stores: {
      s3: (arming) =>
        byHttp(arming, 'data')(answerOf(arming, { status: 403, code: 'InvalidObjectState' }), {
          hopes: 'any',
        }),
    },
  },
];
