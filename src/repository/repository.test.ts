import { describe, expect, test } from 'vitest';

import { throwIfAborted } from '../base/abort.ts';
import { utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { fault } from '../storage/fault.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { encodeConfig } from './config.ts';
import { addKey } from './keys.ts';
import {
  type CreateOptions,
  createRepository,
  type OpenOptions,
  openRepository,
} from './repository.ts';

const environment = systemEnvironment;
const scrypt = { N: 16, r: 1, p: 1 };
const code = (code: string) => expect.objectContaining({ code });
const options: OpenOptions = { environment, password: utf8('secret') };
const creation: CreateOptions = { ...options, hostname: 'alpha', username: 'anna', scrypt };
const kinds = (backend: MemoryBackend) =>
  [...backend.files.keys()].map((key) => key.replace(/\/.*/, ''));

describe('creating', () => {
  test('writes a key, then the config, and nothing else', async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository(backend, creation);
    expect(kinds(backend)).toEqual(['key', 'config']);
    const opened = await openRepository(backend, options);
    expect(opened.config).toEqual(repository.config);
    expect(opened.keyId).toBe(repository.keyId);
    expect(opened.masterKey).toEqual(repository.masterKey);
    expect(opened).toMatchObject({ compression: 'auto', packSizeBytes: 16 * 1024 * 1024 });
  });

  test('takes version, polynomial and settings', async () => {
    const backend = new MemoryBackend();
    const { config } = await createRepository(new MemoryBackend(), creation);
    const { polynomial } = config;
    const repository = await createRepository(backend, { ...creation, version: 1, polynomial });
    expect(repository.config).toMatchObject({ version: 1, polynomial });
    expect(repository.config.id).not.toBe(config.id);
    const opened = await openRepository(backend, {
      ...options,
      compression: 'max',
      packSizeBytes: 5,
    });
    expect(opened).toMatchObject({ compression: 'max', packSizeBytes: 5 });
  });

  test('does nothing where there is a repository', async () => {
    const backend = new MemoryBackend();
    await createRepository(backend, creation);
    const before = [...backend.files.keys()];
    await expect(createRepository(backend, creation)).rejects.toThrow(code('REPOSITORY_EXISTS'));
    expect([...backend.files.keys()]).toEqual(before);
  });

  test('says what is there where only a part of a repository is', async () => {
    const backend = new MemoryBackend();
    await createRepository(backend, creation);
    backend.files.delete('config/');
    const tryIt = () => createRepository(backend, creation);
    await expect(tryIt()).rejects.toMatchObject({
      code: 'REPOSITORY_EXISTS',
      message: expect.stringContaining('an earlier "init" was interrupted'),
    });
    backend.files.set(`pack/${'ab'.repeat(32)}`, utf8('x'));
    await expect(tryIt()).rejects.toThrow('there are data of a repository');
    backend.files.set(`snapshot/${'ab'.repeat(32)}`, utf8('x'));
    await expect(tryIt()).rejects.toThrow('there are snapshots of a repository');
  });

  test.each([['pack'], ['index'], ['snapshot']] as const)(
    'is refused where there is a %s and nothing else, and opening says what is missing',
    async (type) => {
      const backend = new MemoryBackend();
      backend.files.set(`${type}/${'ab'.repeat(32)}`, utf8('x'));
      const remains = {
        message: expect.stringMatching(
          /^there are (data|snapshots) of a repository at this location, but its config is missing$/,
        ),
        hint: expect.stringMatching(/^Put the file "config" back/),
      };
      const creating = createRepository(backend, creation);
      await expect(creating).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS', ...remains });
      const opening = openRepository(backend, creation);
      await expect(opening).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND', ...remains });
    },
  );

  test('of several at once, one wins, and the others leave nothing', async () => {
    const backend = new MemoryBackend();
    const results = await Promise.allSettled(
      [1, 2, 3].map(() => createRepository(backend, creation)),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(won).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toEqual(code('REPOSITORY_EXISTS'));
    }
    expect(kinds(backend).sort((a, b) => (a < b ? -1 : 1))).toEqual(['config', 'key']);
    expect((await openRepository(backend, options)).config.id).toBe(won[0]?.config.id);
  });

  test('a put of the config that is repeated after a lost answer is its own success', async () => {
    const backend = new MemoryBackend();
    const put = backend.put.bind(backend);
    backend.put = async (handle, parts, putOptions) => {
      await put(handle, parts, putOptions);
      if (handle.type === 'config') await put(handle, parts, putOptions);
    };
    const { config } = await createRepository(backend, creation);
    expect((await openRepository(backend, options)).config).toEqual(config);
  });

  test('stopped at any change, leaves no repository or a whole one', async () => {
    for (let stopAt = 1; stopAt <= 2; stopAt++) {
      for (const moment of ['before', 'after']) {
        const backend = new MemoryBackend();
        const put = backend.put.bind(backend);
        let calls = 0;
        backend.put = async (...args) => {
          if (++calls < stopAt) return put(...args);
          backend.remove = () => Promise.reject(new HoldfastError('BACKEND_UNAVAILABLE'));
          if (calls === stopAt && moment === 'after') await put(...args);
          throw new HoldfastError('BACKEND_UNAVAILABLE');
        };
        await expect(createRepository(backend, creation)).rejects.toThrow(
          code('BACKEND_UNAVAILABLE'),
        );
        const later = new MemoryBackend(backend.files);
        const isWhole = stopAt === 2 && moment === 'after';
        const opened = openRepository(later, options);
        if (isWhole) await opened;
        else await expect(opened).rejects.toThrow(code('REPOSITORY_NOT_FOUND'));
        const again = createRepository(later, creation);
        if (backend.files.size === 0) await again;
        else await expect(again).rejects.toThrow(code('REPOSITORY_EXISTS'));
      }
    }
  });
});

describe('opening', () => {
  test('asks for the password only where there is a repository, and once', async () => {
    const backend = new MemoryBackend();
    let asked = 0;
    const password = async () => {
      asked++;
      return utf8('secret');
    };
    await expect(openRepository(backend, { environment, password })).rejects.toThrow(
      code('REPOSITORY_NOT_FOUND'),
    );
    expect(asked).toBe(0);
    const repository = await createRepository(backend, creation);
    await addKey(repository, { ...creation, password: utf8('other') });
    await openRepository(backend, { environment, password });
    expect(asked).toBe(1);
  });

  test('makes one call each for config, list of keys, and key', async () => {
    const backend = new MemoryBackend();
    await createRepository(backend, creation);
    const calls: string[] = [];
    const get = backend.get.bind(backend);
    const list = backend.list.bind(backend);
    backend.get = (handle, ...rest) => {
      calls.push(`get ${handle.type}`);
      return get(handle, ...rest);
    };
    backend.list = (type, listOptions) => {
      calls.push(`list ${type}`);
      return list(type, listOptions);
    };
    await openRepository(backend, options);
    expect(calls.sort((a, b) => (a < b ? -1 : 1))).toEqual(['get config', 'get key', 'list key']);
  });

  test('leaves the event loop free while it derives the key', async () => {
    const backend = new MemoryBackend();
    await createRepository(backend, { ...creation, scrypt: { N: 32_768, r: 8, p: 1 } });
    let turns = 0;
    const counting = environment.clock.every(5, () => void turns++);
    await openRepository(backend, options);
    counting.stop();
    expect(turns).toBeGreaterThan(2);
  });

  test('can be cancelled', async () => {
    const backend = new MemoryBackend();
    await createRepository(backend, creation);
    const signal = AbortSignal.abort();
    await expect(openRepository(backend, { ...options, signal })).rejects.toThrow(
      code('CANCELLED'),
    );
  });

  test('refuses versions it does not know', async () => {
    const backend = new MemoryBackend();
    const { sealer, config } = await createRepository(backend, creation);
    const json = Buffer.from(encodeConfig(config)).toString().replace('"version":2', '"version":3');
    backend.files.set('config/', sealer.seal(utf8(json)));
    await expect(openRepository(backend, options)).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      details: { version: 3 },
    });
  });

  test('reads a config again that was garbled on its way', async () => {
    const backend = new MemoryBackend();
    const { config } = await createRepository(backend, creation);
    const garbled = fault(backend, [
      { operation: 'get', type: 'config', fault: { kind: 'flip', byte: 40 } },
    ]);
    expect((await openRepository(garbled, options)).config).toEqual(config);
    expect(garbled.faultCount).toBe(1);
    const damaged = fault(backend, [
      { operation: 'get', type: 'config', count: 4, fault: { kind: 'flip', byte: 40 } },
    ]);
    await expect(openRepository(damaged, options)).rejects.toThrow(code('CONFIG_DAMAGED'));
  });
});

test('creating that is interrupted once there is a key takes it back', async () => {
  const backend = new MemoryBackend();
  const stop = new AbortController();
  const get = backend.get.bind(backend);
  backend.get = async (...call) => {
    const bytes = await get(...call);
    if (call[0].type === 'key') stop.abort();
    return bytes;
  };
  const options = { ...creation, signal: stop.signal };
  await expect(createRepository(backend, options)).rejects.toThrow(code('CANCELLED'));
  expect([...backend.files.keys()]).toEqual([]);
  await createRepository(backend, creation);
});

test('creating that is interrupted while the config is put is finished', async () => {
  const backend = new MemoryBackend();
  const stop = new AbortController();
  const put = backend.put.bind(backend);
  backend.put = async (...call) => {
    const [{ type }, , options] = call;
    if (type === 'config') {
      stop.abort();
      throwIfAborted(options?.signal);
    }
    await put(...call);
  };
  const options = { ...creation, signal: stop.signal };
  await createRepository(backend, options).catch((error: unknown) => {
    expect(error).toEqual(code('CANCELLED'));
  });
  expect([...backend.files.keys()].map((key) => key.split('/')[0]).toSorted()).toEqual([
    'config',
    'key',
  ]);
});

describe('documents', () => {
  test('are saved, loaded and removed under their id', async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository(backend, { ...creation, compression: 'off' });
    const json = utf8(`{"packs":["${'a'.repeat(1000)}"]}\n`);
    const id = await repository.saveUnpacked('index', json);
    expect(backend.files.get(`index/${id}`)?.byteLength).toBeLessThan(200);
    expect(await repository.loadUnpacked('index', id)).toEqual(json);
    await repository.removeUnpacked('index', id);
    await expect(repository.loadUnpacked('index', id)).rejects.toThrow(code('FILE_NOT_FOUND'));
  });

  test('of another repository are damaged', async () => {
    const backend = new MemoryBackend();
    const first = await createRepository(backend, creation);
    const second = await createRepository(new MemoryBackend(), creation);
    const { id, sealed } = second.sealUnpacked('index', utf8('{}'));
    backend.files.set(`index/${id}`, sealed);
    await expect(first.loadUnpacked('index', id)).rejects.toMatchObject({
      code: 'UNPACKED_DAMAGED',
      details: { type: 'index', id },
    });
  });
});

describe('a file that others removed while its writer slept', () => {
  const lost = [{ operation: 'put', type: 'index', fault: { kind: 'lost' } }] as const;

  async function save(slept: boolean): Promise<unknown> {
    const inner = new MemoryBackend();
    await createRepository(inner, creation);
    const repository = await openRepository(fault(inner, lost), options);
    repository.addWriteGuard((isSure) =>
      isSure && slept ? repository.absences.check(new AbortController().signal) : undefined,
    );
    return await repository.saveUnpacked('index', utf8('{}'));
  }

  test('is not told as a failure of the storage', async () => {
    await expect(save(true)).rejects.toMatchObject({
      code: 'LOCK_LOST',
      message: expect.stringMatching(/removed as left behind/),
    });
  });

  test('is one if he was there all the time', async () => {
    await expect(save(false)).rejects.toThrow(code('BACKEND_WRITE_FAILED'));
  });
});
