import { beforeEach, describe, expect, test } from 'vitest';

import { toHex, utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { FileHandle } from '../storage/backend.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { calibrateScrypt } from './key-calibrate.ts';
import {
  addKey,
  changePassword,
  collectKeys,
  listKeys,
  type NewKeyOptions,
  removeKey,
} from './keys.ts';
import { ManualClock } from './lock-test-support.ts';
import { createRepository, openRepository, type Repository } from './repository.ts';

const environment = systemEnvironment;
const scrypt = { N: 16, r: 1, p: 1 };
const code = (code: string) => expect.objectContaining({ code });

function keyOf(password: string): NewKeyOptions {
  return { password: utf8(password), hostname: 'alpha', username: 'anna', scrypt };
}

let backend: MemoryBackend;
let repository: Repository;

beforeEach(async () => {
  backend = new MemoryBackend();
  repository = await createRepository(backend, { environment, ...keyOf('old') });
});

function open(
  password: string,
  more: { keyHint?: string; knownKey?: string } = {},
): Promise<Repository> {
  return openRepository(backend, { environment, password: utf8(password), ...more });
}

const keyNames = (): string[] =>
  [...backend.files.keys()].filter((key) => key.startsWith('key/')).map((key) => key.slice(4));

/** Stores any bytes as a key file under their right name. */
function storeKey(text: string): string {
  const name = toHex(sha256(utf8(text)));
  backend.files.set(`key/${name}`, utf8(text));
  return name;
}

describe('adding', () => {
  test('lets both passwords open the repository', async () => {
    const id = await addKey(repository, keyOf('new'));
    expect((await open('new')).keyId).toBe(id);
    expect((await open('old')).keyId).toBe(repository.keyId);
    expect((await open('new')).masterKey).toEqual(repository.masterKey);
    await expect(open('other')).rejects.toThrow(code('PASSWORD_WRONG'));
  });

  test('removes the new key again when it does not prove itself', async () => {
    const put = backend.put.bind(backend);
    backend.put = async (handle: FileHandle, [bytes]) => {
      await put(handle, [bytes?.map((byte, at) => (at === 400 ? byte ^ 1 : byte)) ?? utf8('')]);
    };
    await expect(addKey(repository, keyOf('new'))).rejects.toThrow(code('KEY_DAMAGED'));
    expect(keyNames()).toEqual([repository.keyId]);
  });
});

describe('changing the password', () => {
  test('replaces the key in use by a proven one', async () => {
    const id = await changePassword(repository, { ...keyOf('new'), username: 'berta' });
    expect(keyNames()).toEqual([id]);
    expect((await open('new')).keyId).toBe(id);
    await expect(open('old')).rejects.toThrow(code('PASSWORD_WRONG'));
  });

  test('says so when the old key cannot be removed', async () => {
    backend.remove = () => Promise.reject(new HoldfastError('PERMISSION_DENIED'));
    await expect(changePassword(repository, keyOf('new'))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: 'the new password is set, but the old one still opens the repository too',
    });
    await open('old');
    await open('new');
  });

  /** I6: at every instant a known password opens the repository; the old one until the new one is proven. */
  test('stopped or failing at any call, leaves a password that opens it', async () => {
    const calls = ['put', 'get', 'remove'] as const;
    for (const call of calls) {
      for (const moment of ['before', 'after'] as const) {
        const files: MemoryFiles = new Map(backend.files);
        const faulty = new MemoryBackend(files);
        const { masterKey, keyId } = repository;
        const holder = { environment, masterKey, keyId, backend: faulty };
        failAt(faulty, call, moment);
        await expect(changePassword(holder, keyOf('new'))).rejects.toThrow(code('READ_ONLY'));
        const opened = await Promise.allSettled(
          ['old', 'new'].map((password) =>
            openRepository(new MemoryBackend(files), { environment, password: utf8(password) }),
          ),
        );
        const [old, now] = opened.map(({ status }) => status === 'fulfilled');
        expect(old || now, `${call} ${moment}`).toBe(true);
        const isOldRemoved = call === 'remove' && moment === 'after';
        expect(old).toBe(!isOldRemoved);
        expect([...files.keys()]).toContain('config/');
      }
    }
  });
});

/** Lets the first call of a kind fail, without effect or after it. */
function failAt(
  faulty: MemoryBackend,
  call: 'put' | 'get' | 'remove',
  moment: 'before' | 'after',
): void {
  const fail = async (work: () => Promise<unknown>): Promise<never> => {
    if (moment === 'after') await work();
    throw new HoldfastError('READ_ONLY');
  };
  const put = faulty.put.bind(faulty);
  const get = faulty.get.bind(faulty);
  const remove = faulty.remove.bind(faulty);
  if (call === 'put') faulty.put = (...args) => fail(() => put(...args));
  if (call === 'get') faulty.get = (...args) => fail(() => get(...args));
  if (call === 'remove') faulty.remove = (...args) => fail(() => remove(...args));
}

describe('removing', () => {
  test('refuses the key in use', async () => {
    await expect(removeKey(repository, repository.keyId)).rejects.toMatchObject({
      code: 'USAGE',
      message: 'the key in use cannot be removed',
    });
  });

  test('removes another one, but not when the key in use is gone or damaged', async () => {
    const id = await addKey(repository, keyOf('new'));
    const own = `key/${repository.keyId}`;
    const bytes = backend.files.get(own) ?? new Uint8Array();
    backend.files.delete(own);
    await expect(removeKey(repository, id)).rejects.toThrow(code('KEY_DAMAGED'));
    backend.files.set(own, bytes.slice(1));
    await expect(removeKey(repository, id)).rejects.toThrow(code('KEY_DAMAGED'));
    backend.files.set(own, bytes);
    await removeKey(repository, id);
    await expect(removeKey(repository, id)).rejects.toThrow(code('FILE_NOT_FOUND'));
    expect(keyNames()).toEqual([repository.keyId]);
  });
});

test('listing gives all keys, and names those that are damaged', async () => {
  const id = await addKey(repository, { ...keyOf('new'), hostname: 'beta' });
  const bad = storeKey('{}');
  const { keys, damaged } = await listKeys(repository);
  expect(keys.map(({ id, isCurrent, hostname }) => [id, isCurrent, hostname])).toEqual([
    [repository.keyId, true, 'alpha'],
    [id, false, 'beta'],
  ]);
  expect(damaged).toMatchObject([{ id: bad, error: { code: 'KEY_DAMAGED' } }]);
});

describe('searching', () => {
  test('a damaged or hostile key locks nobody out who has another', async () => {
    const text = Buffer.from(backend.files.get(`key/${repository.keyId}`) ?? '').toString();
    storeKey('not JSON');
    storeKey(text.replace('"N":16', '"N":1073741824'));
    storeKey(text.replace('"kdf":"scrypt"', '"kdf":"other"'));
    backend.files.set(`key/${'ab'.repeat(32)}`, utf8('wrong name'));
    backend.files.set(`key/${'cd'.repeat(32)}`, new Uint8Array());
    expect((await open('old')).keyId).toBe(repository.keyId);
    await expect(open('other')).rejects.toMatchObject({
      code: expect.stringMatching(/KEY_(DAMAGED|LIMIT)/),
      message: 'the password fits none of 6 keys, of which 5 cannot be used',
    });
  });

  test('a damaged only key is named as damaged, not its password as wrong', async () => {
    const file = `keys/${repository.keyId}`;
    for (const [bytes, why] of [
      ['', 'a key file is empty'],
      ['{', 'a key file does not hold the bytes it is named after'],
    ] as const) {
      backend.files.set(`key/${repository.keyId}`, utf8(bytes));
      await expect(open('old')).rejects.toMatchObject({
        code: 'KEY_DAMAGED',
        message: 'no key of the repository can be used, so no password opens it',
        details: { file },
        hint: expect.stringMatching(/^Put this file back/),
        cause: { message: why },
      });
    }
  });

  test('a key of another repository with the same password does not hide the right one', async () => {
    const other = new MemoryBackend();
    await createRepository(other, { environment, ...keyOf('old') });
    for (const [name, bytes] of other.files) {
      if (name.startsWith('key/')) backend.files.set(name, bytes);
    }
    expect((await open('old')).keyId).toBe(repository.keyId);
    backend.files.delete(`key/${repository.keyId}`);
    await expect(open('old')).rejects.toMatchObject({
      code: 'CONFIG_DAMAGED',
      message: expect.stringContaining('the password is right'),
    });
  });

  test('tries at most 20 keys, the hinted one first', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 25; i++) ids.push(await addKey(repository, keyOf(`p${i}`)));
    await expect(open('other')).rejects.toMatchObject({
      code: 'PASSWORD_WRONG',
      message: 'the password fits none of the 20 keys tried',
      details: { keyCount: 26 },
    });
    for (const [i, id] of ids.entries()) {
      expect((await open(`p${i}`, { keyHint: id.slice(0, 12) })).keyId).toBe(id);
    }
    const { reads } = keyReads();
    await open('p24', { keyHint: 'ffffffffffff' }).catch(() => undefined);
    expect(reads()).toBe(26);
  });

  test('reads the key that opened it the last time, and lists none', async () => {
    const recorded = record(backend);
    const known = { environment, password: utf8('old'), knownKey: repository.keyId };
    expect((await openRepository(recorded, known)).keyId).toBe(repository.keyId);
    expect(recorded.calls.filter(({ type }) => type === 'key')).toMatchObject([
      { operation: 'get', name: repository.keyId },
    ]);
  });

  test('finds another key if that one is gone, damaged, or of another password', async () => {
    const id = await addKey(repository, keyOf('new'));
    const knownKey = repository.keyId;
    expect((await open('new', { knownKey })).keyId).toBe(id);
    await expect(open('other', { knownKey })).rejects.toThrow(code('PASSWORD_WRONG'));
    backend.files.set(`key/${knownKey}`, utf8('{}'));
    expect((await open('new', { knownKey })).keyId).toBe(id);
    backend.files.delete(`key/${knownKey}`);
    expect((await open('new', { knownKey })).keyId).toBe(id);
    await expect(open('old', { knownKey })).rejects.toThrow(code('PASSWORD_WRONG'));
  });

  /** Hazard D8: the storage lists keys in its own order. */
  test('among 1,000 keys tries the newest first, wherever they are listed', async () => {
    const template = Buffer.from(backend.files.get(`key/${repository.keyId}`) ?? '').toString();
    backend.files.clear();
    for (let i = 0; i < 999; i++) {
      storeKey(template.replace(/"created":"\d{4}/, `"created":"${1000 + i}`));
    }
    const newest = template.replace(/"created":"\d{4}/, '"created":"2999');
    storeKey(newest);
    const candidates = await collectKeys(backend, undefined);
    expect(candidates.keyCount).toBe(1000);
    expect(candidates.keys.slice(0, 3).map(({ file }) => yearOf(file.created))).toEqual([
      2999, 1998, 1997,
    ]);
  });

  test('of 10,000 keys reads 1,000, the hinted one among them', async () => {
    const name = keyNames()[0] ?? '';
    const bytes = backend.files.get(`key/${name}`) ?? new Uint8Array();
    backend.files.delete(`key/${name}`);
    for (let i = 0; i < 9_999; i++) storeKey(`{"created":"${i}"}`);
    backend.files.set(`key/${name}`, bytes);
    const { reads } = keyReads();
    await expect(open('old')).rejects.toMatchObject({
      code: 'KEY_DAMAGED',
      message: 'the password fits none of 10000 keys, of which 1000 cannot be used',
      hint: 'There are more keys: name the right one with --key-hint.',
    });
    expect(reads()).toBe(1000);
    expect((await open('old', { keyHint: name.slice(0, 8) })).keyId).toBe(name);
  });

  test('keys that ask for too much work do not use up the tries of the others', async () => {
    const text = Buffer.from(backend.files.get(`key/${repository.keyId}`) ?? '').toString();
    for (let i = 0; i < 40; i++) {
      const late = text.replace(/"created":"\d{4}/, `"created":"${3000 + i}`);
      storeKey(late.replace('"N":16', `"N":${2 ** 30}`).replace('"r":1', '"r":1024'));
    }
    expect((await open('old')).keyId).toBe(repository.keyId);
  });

  test('a key file of a gigabyte is not even read', async () => {
    const list = backend.list.bind(backend);
    const large = storeKey('large');
    backend.list = async function* (type, options) {
      for await (const file of list(type, options)) {
        yield file.name === large ? { ...file, sizeBytes: 2 ** 30 } : file;
      }
    };
    const { names } = keyReads();
    expect((await open('old')).keyId).toBe(repository.keyId);
    await expect(open('other')).rejects.toThrow(code('KEY_DAMAGED'));
    await expect(listKeys(repository)).resolves.toMatchObject({ damaged: [{ id: large }] });
    expect(names()).not.toContain(large);
  });

  test('without any key says so', async () => {
    backend.files.delete(`key/${repository.keyId}`);
    await expect(open('old')).rejects.toMatchObject({
      code: 'PASSWORD_WRONG',
      message: 'no key found',
      hint: expect.stringContaining('from the recovery kit'),
    });
  });
});

/** Remembers reads of key files from now on. */
function keyReads(): { readonly names: () => readonly string[]; readonly reads: () => number } {
  const names: string[] = [];
  const get = backend.get.bind(backend);
  backend.get = (handle, ...rest) => {
    if (handle.type === 'key') names.push(handle.name);
    return get(handle, ...rest);
  };
  return { names: () => names, reads: () => names.length };
}

function yearOf({ seconds }: Timestamp): number {
  return new Date(seconds * 1000).getUTCFullYear();
}

test('new keys take about half a second and 32 MiB', async () => {
  const parameters = await calibrateScrypt(environment);
  expect(parameters).toMatchObject({ N: 32_768, r: 8 });
  expect(parameters.p).toBeGreaterThanOrEqual(1);
  expect(parameters.p).toBeLessThanOrEqual(8);
});

test.each([
  { passesMs: 100, worksMs: 100, p: 5 },
  { passesMs: 900, worksMs: 100, p: 5 },
  { passesMs: 100, worksMs: 900, p: 5 },
  { passesMs: 900, worksMs: undefined, p: 1 },
  { passesMs: 1, worksMs: 1, p: 8 },
  { passesMs: 0, worksMs: 0, p: 5 },
])(
  'a derivation that takes $passesMs ms and $worksMs ms of the processor makes keys of $p of them',
  async ({ passesMs, worksMs, p }) => {
    const told = worksMs === undefined ? {} : { processorMs: every(worksMs) };
    const clock = Object.assign(new ManualClock(), { monotonicMs: every(passesMs), ...told });
    const parameters = await calibrateScrypt({ ...environment, clock });
    expect(parameters).toEqual({ N: 32_768, r: 8, p });
  },
);

/** A clock that goes on by so much whenever it is asked. */
function every(ms: number): () => number {
  let nowMs = 0;
  return () => (nowMs += ms);
}
