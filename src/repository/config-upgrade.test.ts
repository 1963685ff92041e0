import { expect, test } from 'vitest';
import { equalBytes } from '../base/bytes.ts';
import { systemEnvironment as environment } from '../base/environment.ts';
import type { Backend } from '../storage/backend.ts';
import { type Fault, fault, type FaultRule } from '../storage/fault.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { upgradeConfig } from './config-upgrade.ts';
import { loadIndex } from './index-load.ts';
import { rewriteIndex } from './index-rewrite.ts';
import { acquireLock, noIdentity } from './locks.ts';
import { createRepository, openRepository, type Repository } from './repository.ts';

const password = Buffer.from('x');
const config = { type: 'config', name: '' } as const;
const scrypt = { N: 1024, r: 8, p: 1 };

async function makeRepository(version: 1 | 2 = 1): Promise<MemoryBackend> {
  const backend = new MemoryBackend();
  const who = { hostname: 'host', username: 'user', password, scrypt };
  await createRepository(backend, { environment, ...who, version });
  return backend;
}

function open(backend: Backend): Promise<Repository> {
  return openRepository(backend, { environment, password });
}

async function upgrade(through: Backend, copies: Uint8Array[] = []): Promise<void> {
  const saveCopy = async (sealed: Uint8Array): Promise<void> => void copies.push(sealed);
  await upgradeConfig(await open(through), { saveCopy });
}

function failToSave(): Promise<void> {
  return Promise.reject(new Error('disk full'));
}

test('only the version changes, after a copy of the config was saved', async () => {
  const backend = await makeRepository();
  const before = await backend.get(config);
  const old = await open(backend);
  const copies: Uint8Array[] = [];
  const recorded = record(backend);
  await upgrade(recorded, copies);
  expect(copies.map((copy) => equalBytes(copy, before))).toEqual([true]);
  expect((await open(backend)).config).toEqual({ ...old.config, version: 2 });
  expect(recorded.count({ operation: 'put' })).toBe(1);
  expect(recorded.count({ operation: 'remove' })).toBe(0);
});

test('version 2 is refused and nothing is touched', async () => {
  const recorded = record(await makeRepository(2));
  await expect(upgrade(recorded)).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  expect(recorded.count({ operation: 'put' })).toBe(0);
});

test('without the copy nothing is changed', async () => {
  const backend = await makeRepository();
  const repository = await open(backend);
  await expect(upgradeConfig(repository, { saveCopy: failToSave })).rejects.toThrow('disk full');
  expect((await open(backend)).config.version).toBe(1);
});

const failures: readonly (readonly [string, Fault, 1 | 2])[] = [
  ['fails', { kind: 'error', code: 'BACKEND_WRITE_FAILED' }, 1],
  ['is done, but the answer is lost', { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' }, 2],
  ['is reported done, but is not', { kind: 'lost' }, 1],
  ['stores a part', { kind: 'partial', sizeBytes: 50, code: 'BACKEND_WRITE_FAILED' }, 1],
  ['stores nothing and says it did', { kind: 'partial', sizeBytes: 0 }, 1],
  ['stores other bytes', { kind: 'flip', byte: 60 }, 1],
];

test.each(failures)('when the put of the config %s, it opens', async (_, kind, version) => {
  const backend = await makeRepository();
  const rule: FaultRule = { operation: 'put', type: 'config', fault: kind };
  const faulty = fault(backend, [rule]);
  if (version === 2) await upgrade(faulty);
  else await expect(upgrade(faulty)).rejects.toThrow(/./);
  expect(faulty.faultCount).toBe(1);
  expect((await open(backend)).config.version).toBe(version);
  if (version === 1) await upgrade(backend);
  expect((await open(backend)).config.version).toBe(2);
});

function onProblem(): never {
  return expect.unreachable('an index file is called damaged');
}

test.each(['snapshot', 'index', 'lock'] as const)(
  'who reads a new %s file after an upgrade is told of that, and of no damage',
  async (type) => {
    const backend = await makeRepository();
    const slept = await open(backend);
    await upgrade(backend);
    const id = await (await open(backend)).saveUnpacked(type, Buffer.from('{"packs":[]}'));
    const told = {
      code: 'REPOSITORY_LOCKED',
      message: 'the repository was upgraded to version 2 while this command ran',
      hint: 'Run the command again.',
    };
    await expect(slept.loadUnpacked(type, id)).rejects.toMatchObject(told);
    if (type !== 'index') return;
    await expect(loadIndex(slept, { onProblem })).rejects.toMatchObject(told);
    await expect(rewriteIndex(slept, { removed: new Set() })).rejects.toMatchObject(told);
    // In threads.
    await (await open(backend)).saveUnpacked(type, Buffer.from('{"packs": []}'));
    const limits = { workersSizeBytesMin: 0 };
    await expect(loadIndex(slept, { onProblem, limits })).rejects.toMatchObject(told);
  },
);

test('a file of a newer format is damage where nobody upgraded the repository', async () => {
  const backend = await makeRepository();
  const repository = await open(backend);
  const copy = new MemoryBackend(new Map(backend.files));
  await upgrade(copy);
  const json = Buffer.from('{"packs":[]}');
  const { id, sealed } = (await open(copy)).sealUnpacked('index', json);
  await backend.put({ type: 'index', name: id }, [sealed]);
  const told = { code: 'UNPACKED_DAMAGED', details: { firstByte: 2 } };
  await expect(repository.loadUnpacked('index', id)).rejects.toMatchObject(told);
});

test('who waited for the end of an upgrade is told to begin again', async () => {
  const backend = await makeRepository();
  const waiting = await open(backend);
  await upgrade(backend);
  const options = {
    kind: 'shared',
    operation: 'test',
    owner: { hostname: 'host', username: 'user', pid: 1 },
    probe: {
      hostname: 'host',
      identity: noIdentity,
      processStart: () => undefined,
      machineUpSeconds: () => 1,
    },
  } as const;
  await expect(acquireLock(waiting, options)).rejects.toMatchObject({
    code: 'REPOSITORY_LOCKED',
    message: 'the repository was upgraded to version 2 while this command waited for it',
  });
  expect([...backend.files.keys()].filter((key) => key.startsWith('lock/'))).toEqual([]);
  await (await acquireLock(await open(backend), options)).release();
});
