import { expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { silentMonitor as monitor } from '../base/monitor.ts';
import { testRepository } from '../repository/index-test-support.ts';
import { loadSnapshots, removeSnapshot, type StoredSnapshot } from '../repository/snapshots.ts';
import { fault, type FaultRule } from '../storage/fault.ts';
import { record } from '../storage/record.ts';
import { SnapshotMaker } from './engine-test-support.ts';
import { replaceSnapshot } from './publish-snapshot.ts';

const lock = undefined;
const context = { environment, monitor };

async function made(): Promise<{ maker: SnapshotMaker; before: StoredSnapshot }> {
  const maker = new SnapshotMaker();
  return { maker, before: await maker.snapshotOf({ f: 'x' }) };
}

test('the new one is stored, told of, and only then the old one goes', async () => {
  const { maker, before } = await made();
  const recorder = record(maker.backend);
  const { id: oldId, ...snapshot } = before;
  const told: string[] = [];
  const newId = await replaceSnapshot(
    testRepository({ backend: recorder }),
    {
      snapshot: { ...snapshot, tags: ['new'] },
      lock,
      oldId,
      onStored: (id) => told.push(id, String(recorder.count({ operation: 'remove' }))),
    },
    context,
  );
  expect(told).toEqual([newId, '0']);
  const left = await loadSnapshots(maker.repository);
  expect(left).toMatchObject([{ id: newId, tags: ['new'] }]);
});

test.each<FaultRule>([
  { operation: 'remove', type: 'snapshot', fault: { kind: 'lost' } },
  { operation: 'put', type: 'snapshot', fault: { kind: 'lost' } },
])('what the storage only says that it did is not believed: $operation', async (rule) => {
  const { maker, before } = await made();
  const repository = testRepository({ backend: fault(maker.backend, [rule]) });
  const { id: oldId, ...snapshot } = before;
  const changed = { snapshot: { ...snapshot, tags: ['new'] }, lock, oldId };
  await expect(replaceSnapshot(repository, changed, context)).rejects.toMatchObject({
    code: 'BACKEND_WRITE_FAILED',
  });
  const left = await loadSnapshots(maker.repository);
  expect(left.map(({ id }) => id)).toContain(oldId);
});

test('a snapshot that is gone counts as removed', async () => {
  const { maker, before } = await made();
  await removeSnapshot(maker.repository, before.id, { isConfirmed: true });
  await removeSnapshot(maker.repository, before.id, { isConfirmed: true });
  await removeSnapshot(maker.repository, before.id);
  expect(await loadSnapshots(maker.repository)).toEqual([]);
});
