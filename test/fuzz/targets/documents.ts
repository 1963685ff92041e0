import { systemEnvironment } from '../../../src/base/environment.ts';
import { deriveKey } from '../../../src/kernels/scrypt.ts';
import type { ErrorCode } from '../../../src/base/errors.ts';
import { decodeConfig, encodeConfig } from '../../../src/repository/config.ts';
import {
  decodeKeyFile,
  decodeMasterKey,
  encodeKeyFile,
  encodeMasterKey,
  type KeyFile,
} from '../../../src/repository/key-file.ts';
import { decodeLock, encodeLock } from '../../../src/repository/lock-codec.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../src/repository/snapshots.ts';
import { answerOf, laterAnswerOf, must, mustEqual } from '../expect.ts';
import { mutateJson, spaced } from '../mutate-json.ts';
import { resticSeeds, textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

interface Codec<T> {
  readonly decode: (json: Uint8Array) => T;
  readonly encode: (value: T) => Uint8Array;
  readonly codes: readonly ErrorCode[];
}

/**
 * Decodes a document. What is accepted is accepted with spaces in it, too, and encodes to something that decodes to
 * the same and encodes to the same bytes.
 */
function roundTrip<T>(input: Uint8Array, { decode, encode, codes }: Codec<T>): T | undefined {
  const first = answerOf(() => decode(input), ...codes);
  if (!first.isGiven) return undefined;
  const bytes = encode(first.value);
  const again = decode(bytes);
  mustEqual(encode(again), bytes, 'encoding again gives the same bytes');
  mustEqual(
    Buffer.from(encode(decode(spaced(input))))
      .toString()
      .replaceAll(' ', ''),
    Buffer.from(bytes).toString().replaceAll(' ', ''),
    'the same document with spaces',
  );
  return first.value;
}

export const snapshotTarget: FuzzTarget = {
  name: 'snapshot',
  runsInCi: 400,
  seeds: () => resticSeeds(/^restic-snapshot.*json$/),
  mutate: mutateJson,
  run: (input) => {
    roundTrip(input, {
      decode: decodeSnapshot,
      encode: encodeSnapshot,
      codes: ['SNAPSHOT_DAMAGED'],
    });
  },
};

export const configTarget: FuzzTarget = {
  name: 'config',
  runsInCi: 400,
  seeds: () => resticSeeds(/^restic-config/),
  mutate: mutateJson,
  run: (input) => {
    const codes: readonly ErrorCode[] = ['CONFIG_DAMAGED', 'FORMAT_UNSUPPORTED'];
    roundTrip(input, { decode: decodeConfig, encode: encodeConfig, codes });
  },
};

export const lockTarget: FuzzTarget = {
  name: 'lock',
  runsInCi: 1000,
  seeds: () =>
    textSeeds(
      '{"time":"2026-01-31T12:00:00.123456789+01:00","exclusive":true,"hostname":"host","username":"anna","pid":4711,"uid":1000,"gid":1000}',
      '{"time":"2026-01-31T12:00:00Z","exclusive":false,"hostname":"","username":"","pid":0}',
      '{"time":"2026-01-31T12:00:00Z","exclusive":true,"hostname":"h","username":"u","pid":7,"holdfast":{"began":"2026-01-31T11:00:00Z","instance":"00ff","kind":"commit","operation":"prune","machine":"m","boot":"b","space":"pid:[1]","start":"17"}}',
    ),
  mutate: mutateJson,
  run: (input) => {
    roundTrip(input, { decode: decodeLock, encode: encodeLock, codes: ['LOCK_DAMAGED'] });
  },
};

/** Work that a key file may ask for while it is fuzzed: 128 KiB mixed. */
const cheapWorkBytes = 2 ** 17;

export const keyFileTarget: FuzzTarget = {
  name: 'key-file',
  runsInCi: 1000,
  seeds: () => resticSeeds(/^restic-key/),
  mutate: mutateJson,
  run: async (input) => {
    const codec = { decode: decodeKeyFile, encode: encodeKeyFile, codes: ['KEY_DAMAGED'] } as const;
    const file = roundTrip<KeyFile>(input, codec);
    if (file) await tryDerive(file);
  },
};

/** Runs the derivation where it is cheap, and where it must be refused before any work. */
async function tryDerive({ parameters, salt }: KeyFile): Promise<void> {
  const { N, r, p } = parameters;
  const workBytes = 128 * N * r * p;
  const isBeyond = 128 * N * r > 2 ** 30 || p > 16 || workBytes > 2 ** 33;
  if (!isBeyond && workBytes > cheapWorkBytes) return;
  const key = await laterAnswerOf(
    () => deriveKey(Buffer.from('x'), { salt, ...parameters }, systemEnvironment),
    'KEY_LIMIT',
    'KEY_DAMAGED',
  );
  must(!isBeyond || !key.isGiven, 'a derivation beyond all limits is refused');
}

export const masterKeyTarget: FuzzTarget = {
  name: 'master-key',
  runsInCi: 1500,
  seeds: () => resticSeeds(/^restic-master-key/),
  mutate: mutateJson,
  run: (input) => {
    const codes = ['KEY_DAMAGED'] as const;
    roundTrip(input, { decode: decodeMasterKey, encode: encodeMasterKey, codes });
  },
};
