import { expect, test } from 'vitest';
import { testRepository } from '../../repository/index-test-support.ts';
import { fault, type FaultRule } from '../../storage/fault.ts';
import { record } from '../../storage/record.ts';
import { madeFile, noise, SnapshotMaker } from '../engine-test-support.ts';
import { missingPacks, storedPackSizes } from './stored-packs.ts';

const maker = new SnapshotMaker();
await maker.snapshotOf({ f: madeFile(noise(5000, 1)) });
const { index } = await maker.indexed();
const ids = maker.packs.map(({ id }) => id);
const sizes = maker.packs.map(({ bytes }) => bytes.byteLength);

const always = { operation: 'list', type: 'pack', count: Infinity } as const;

test.each<FaultRule>([
  { ...always, fault: { kind: 'resized', byBytes: 7 } },
  { ...always, fault: { kind: 'hidden', name: () => true } },
])('what a listing says wrong is asked for by name: $fault.kind', async (rule) => {
  const recorder = record(fault(maker.backend, [rule]));
  const stored = await storedPackSizes(testRepository({ backend: recorder }), index, {});
  expect(stored.sizes).toEqual(sizes);
  expect([...stored.expected]).toEqual(sizes);
  expect(stored.others.size).toBe(0);
  expect(recorder.count({ operation: 'stat' })).toBe(ids.length);
});

test('what is listed right is not asked for', async () => {
  const recorder = record(maker.backend);
  await storedPackSizes(testRepository({ backend: recorder }), index, {});
  expect(recorder.count({ operation: 'stat' })).toBe(0);
});

test('a pack that is gone, cut short, removed, or in no index', async () => {
  const [first = '', second = ''] = ids;
  const { backend } = maker;
  const missing = (): Promise<Set<number>> =>
    missingPacks({ repository: testRepository({ backend }), index }, {});
  const stored = (): ReturnType<typeof storedPackSizes> =>
    storedPackSizes(testRepository({ backend }), index, {});
  expect(await missing()).toEqual(new Set());
  await backend.put({ type: 'pack', name: 'ab'.repeat(32) }, [Buffer.from('no pack')]);
  expect([...(await stored()).others]).toEqual([['ab'.repeat(32), 7]]);
  await backend.remove({ type: 'pack', name: first });
  expect((await stored()).sizes).toEqual([undefined, sizes[1]]);
  expect(await missing()).toEqual(new Set([0]));
  await backend.remove({ type: 'pack', name: second });
  await backend.put({ type: 'pack', name: second }, [Buffer.from('short')]);
  expect((await stored()).sizes).toEqual([undefined, 5]);
  expect(await missing()).toEqual(new Set([0, 1]));
  const removed = new Set([first, second]);
  const recorder = record(backend);
  const left = await storedPackSizes(testRepository({ backend: recorder }), index, { removed });
  expect(left.sizes).toEqual([undefined, undefined]);
  expect(recorder.count({ operation: 'stat' })).toBe(0);
});
