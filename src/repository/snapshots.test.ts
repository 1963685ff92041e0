import { saveSnapshot, testRepository } from './index-test-support.ts';
import { record } from '../storage/record.ts';
import { fault } from '../storage/fault.ts';
import { beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Problem } from '../base/monitor.ts';
import { parsePolynomial } from '../kernels/polynomial.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { Repository } from './repository.ts';
import {
  loadSnapshot,
  loadSnapshots,
  resolveSnapshot,
  type Snapshot,
  tellUnreadable,
} from './snapshots.ts';

const tree = 'bc'.repeat(32);
const code = (code: string) => expect.objectContaining({ code });
let backend: MemoryBackend;
let repository: Repository;

beforeEach(() => {
  backend = new MemoryBackend();
  repository = new Repository({
    backend,
    config: { version: 2, id: '11'.repeat(32), polynomial: parsePolynomial('31a1ec5d60e3c9') },
    keyId: '33'.repeat(32),
    masterKey: {
      encrypt: new Uint8Array(32).fill(1),
      macK: new Uint8Array(16).fill(2),
      macR: new Uint8Array(16).fill(3),
    },
    options: { environment: systemEnvironment, password: new Uint8Array() },
  });
});

function save(seconds: number, more: Partial<Snapshot> = {}): Promise<string> {
  const time = { seconds, nanoseconds: 0, offsetMinutes: 0 };
  return saveSnapshot(repository, { time, tree, paths: ['/a'], hostname: 'alpha', ...more });
}

/** A snapshot file as it is: sealed by this repository, whatever is in it. */
const saveText = (text: string) => repository.saveUnpacked('snapshot', utf8(text));

describe('loading', () => {
  test('gives all snapshots in order of their instants, whatever their zones', async () => {
    const late = { seconds: 2000, nanoseconds: 5, offsetMinutes: -600 };
    const early = { seconds: 2000, nanoseconds: 4, offsetMinutes: 600 };
    const ids = [await save(3000), await save(0, { time: late }), await save(0, { time: early })];
    const loaded = await loadSnapshots(repository);
    expect(loaded.map(({ id }) => id)).toEqual([ids[2], ids[1], ids[0]]);
    expect(loaded[0]).toMatchObject({ time: early, tree, hostname: 'alpha' });
  });

  test('tells the monitor of damaged ones and goes on; without one it throws', async () => {
    const good = await save(1);
    const bad = [
      await saveText('{"packs":[]}'),
      await saveText('{"time":"2026-01-02T03:04:05Z","exclusive":true,"pid":1}'),
      await save(2),
    ];
    backend.files.get(`snapshot/${bad[2]}`)?.reverse();
    const problems: Problem[] = [];
    const monitor = { problem: (p: Problem) => problems.push(p), note: () => {} };
    const loaded = await loadSnapshots(repository, { onUnreadable: tellUnreadable(monitor) });
    expect(loaded.map(({ id }) => id)).toEqual([good]);
    expect(problems.map(({ item }) => item).sort()).toEqual(
      bad.map((id) => `snapshot ${id}`).sort(),
    );
    const codes = problems.map(({ error }) => String(isHoldfastError(error) && error.code));
    expect(codes.sort()).toEqual(['SNAPSHOT_DAMAGED', 'SNAPSHOT_DAMAGED', 'UNPACKED_DAMAGED']);
    await expect(loadSnapshots(repository)).rejects.toThrow(/damaged|named after/);
    await expect(loadSnapshot(repository, bad[0] ?? '')).rejects.toMatchObject({
      code: 'SNAPSHOT_DAMAGED',
      details: { id: bad[0] },
    });
  });

  test('leaves out what is removed meanwhile', async () => {
    const id = await save(1);
    await save(2);
    const list = backend.list.bind(backend);
    backend.list = async function* (type, options) {
      for await (const file of list(type, options)) {
        backend.files.delete(`snapshot/${id}`);
        yield file;
      }
    };
    expect(await loadSnapshots(repository)).toHaveLength(1);
  });

  test('does not read what is known, and reads once what is listed twice', async () => {
    const ids = [await save(1), await save(2), await save(3)];
    const twice = fault(backend, [
      { operation: 'list', type: 'snapshot', fault: { kind: 'repeated' } },
    ]);
    const recorder = record(twice);
    const known = new Set(ids.slice(0, 1));
    const loaded = await loadSnapshots(testRepository({ backend: recorder }), { known });
    expect(loaded.map(({ id }) => id)).toEqual(ids.slice(1));
    expect(recorder.count({ operation: 'get', type: 'snapshot' })).toBe(2);
  });

  test('does not take for removed what is still listed', async () => {
    const ids = [await save(1), await save(2)];
    const gone = { kind: 'error', code: 'FILE_NOT_FOUND' } as const;
    const faulty = fault(backend, [{ operation: 'get', type: 'snapshot', fault: gone }]);
    const unreadable: string[] = [];
    const onUnreadable = (id: string): unknown => unreadable.push(id);
    await expect(loadSnapshots(testRepository({ backend: faulty }))).rejects.toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
    });
    const silent = fault(backend, [
      { operation: 'get', type: 'snapshot', count: Infinity, fault: gone },
    ]);
    await loadSnapshots(testRepository({ backend: silent }), { onUnreadable });
    expect(unreadable).toEqual(ids.toSorted());
  });

  test('an unsealed or foreign file is damaged', async () => {
    backend.files.set(`snapshot/${'ab'.repeat(32)}`, utf8('hello'));
    await expect(loadSnapshots(repository)).rejects.toThrow(code('UNPACKED_DAMAGED'));
  });
});

describe('resolving', () => {
  test('latest: the greatest instant among those the filter means', async () => {
    await save(3, { hostname: 'beta', paths: ['/b'] });
    const wanted = await save(2, { tags: ['x', 'y'], paths: ['/a', '/c'] });
    await save(1);
    const filters = [{ hosts: ['alpha'] }, { tags: [['y', 'x']] }, { paths: ['/c'] }];
    for (const filter of filters) {
      expect((await resolveSnapshot(repository, 'latest', filter)).snapshot.id).toBe(wanted);
    }
    expect((await resolveSnapshot(repository, 'latest')).snapshot.hostname).toBe('beta');
    await expect(resolveSnapshot(repository, 'latest', { hosts: ['gamma'] })).rejects.toMatchObject(
      {
        code: 'SNAPSHOT_NOT_FOUND',
        message: 'no snapshot fits the filter for host, tags and paths',
      },
    );
  });

  test('latest of none', async () => {
    await expect(resolveSnapshot(repository, 'latest')).rejects.toMatchObject({
      message: 'there is no snapshot in the repository',
    });
  });

  test('a prefix, with or without a folder', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 17; i++) ids.push(await save(i));
    const shortest = (id: string): number => {
      let length = 1;
      while (ids.filter((other) => other.startsWith(id.slice(0, length))).length > 1) length++;
      return length;
    };
    for (const id of ids) {
      const length = shortest(id);
      const { snapshot, subfolder } = await resolveSnapshot(
        repository,
        `${id.slice(0, length)}:home/a:b`,
      );
      expect(snapshot.id).toBe(id);
      expect(subfolder).toBe('home/a:b');
      if (length === 1) continue;
      await expect(resolveSnapshot(repository, id.slice(0, length - 1))).rejects.toThrow(
        code('ID_AMBIGUOUS'),
      );
    }
    const whole = await resolveSnapshot(repository, ids[0] ?? '', { hosts: ['gamma'] });
    expect(whole).not.toHaveProperty('subfolder');
  });

  test.each(['', 'xyz', 'LATEST', '../config', 'g', 'a'.repeat(65), ':a'])(
    'refuses "%s"',
    async (text) => {
      await save(1);
      await expect(resolveSnapshot(repository, text)).rejects.toThrow(code('SNAPSHOT_NOT_FOUND'));
    },
  );
});
