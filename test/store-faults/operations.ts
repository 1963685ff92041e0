import { mkdirSync } from 'node:fs';
import { describeError, isHoldfastError } from '../../src/base/errors.ts';
import { backup, SourceWalk } from '../../src/engine/backup.ts';
import { check } from '../../src/engine/check.ts';
import { copySnapshots } from '../../src/engine/copy.ts';
import { executePrune, planPrune } from '../../src/engine/prune.ts';
import { restore } from '../../src/engine/restore.ts';
import { loadSnapshots, tellUnreadable } from '../../src/repository/snapshots.ts';
import { openFileSource } from '../../src/sources/files/open-file-source.ts';
import type { Backend } from '../../src/storage/backend.ts';
import { type Client, withSession } from './client.ts';

/** What is done with a storage that goes wrong. */
export type OperationName = 'backup' | 'restore' | 'check' | 'prune' | 'copy';

export const operationNames: readonly OperationName[] = [
  'backup',
  'restore',
  'check',
  'prune',
  'copy',
];

/** What kind of a copy, or of a prune, it is; see `Work`. */
export type Shape = Pick<Work, 'isSource' | 'isInstant'>;

/** What one run of an operation works with. */
export interface Work {
  readonly client: Client;
  /** The storage that may go wrong. */
  readonly backend: Backend;
  /** Of a copy: the other repository, which is sound. */
  readonly other: Backend;
  /** Of a copy: the storage that may go wrong is what is copied from. */
  readonly isSource: boolean;
  /** Of a prune. */
  readonly isInstant: boolean;
  /** What is backed up. */
  readonly source: string;
  /** Where is restored to: free. */
  readonly target: string;
}

/** How it ended. `ok`: as if nothing had been the matter; `part`: it told of problems; `failed`: with an error. */
export interface Outcome {
  readonly end: 'ok' | 'part' | 'failed';
  /** Of a backup, and of a copy: the snapshots that were reported stored. */
  readonly stored: readonly string[];
  /** What was told to the user, and the codes of it. */
  readonly said: readonly string[];
  readonly codes: readonly string[];
  /** What is no error for a user. */
  readonly defect?: unknown;
}

const keepDeleteMs = 23 * 3_600_000;

/** Does it, and says how it ended. */
export async function runOperation(name: OperationName, work: Work): Promise<Outcome> {
  const { monitor } = work.client;
  const told = (): Pick<Outcome, 'said' | 'codes'> => ({
    said: monitor.complaints(),
    codes: monitor.problems.map(({ error }) => codeOf(error)),
  });
  try {
    const { isWhole, stored = [], said = [] } = await operations[name](work);
    const { said: heard, codes } = told();
    return { end: isWhole ? 'ok' : 'part', stored, said: [...heard, ...said], codes };
  } catch (error) {
    const { said, codes } = told();
    return {
      end: 'failed',
      stored: [],
      said: [...said, describeError(error)],
      codes: [...codes, codeOf(error)],
      ...(!isHoldfastError(error) || error.code === 'ASSERTION_FAILED' ? { defect: error } : {}),
    };
  }
}

function codeOf(error: unknown): string {
  return isHoldfastError(error) ? error.code : 'DEFECT';
}

interface Done {
  readonly isWhole: boolean;
  readonly stored?: readonly string[];
  readonly said?: readonly string[];
}

const operations: Readonly<Record<OperationName, (work: Work) => Promise<Done>>> = {
  backup: async ({ client, backend, source: folder }) => {
    const { environment, monitor } = client;
    return withSession(client, { backend, lock: 'shared' }, async (session) => {
      const { repository, lock, signal } = session;
      const onUnreadable = tellUnreadable(monitor);
      const earlier = await loadSnapshots(repository, { signal, onUnreadable });
      const indexed = await session.loadIndex();
      const source = await openFileSource([folder], { environment });
      const walk = new SourceWalk(source, environment.clock);
      const context = { environment, monitor, signal };
      const request = { options: backupOptions, earlier, lock };
      const result = await backup(indexed, walk, request, context);
      const stored = result.snapshotId === undefined ? [] : [result.snapshotId];
      return { isWhole: result.problems.length === 0, stored };
    });
  },

  restore: async ({ client, backend, target }) => {
    const { environment, monitor } = client;
    mkdirSync(target, { recursive: true });
    return withSession(client, { backend, lock: 'shared' }, async (session) => {
      const { repository, signal } = session;
      const onUnreadable = tellUnreadable(monitor);
      const snapshot = (await loadSnapshots(repository, { signal, onUnreadable })).at(-1);
      const indexed = await session.loadIndex();
      if (!snapshot) return { isWhole: false, said: ['there is no snapshot'] };
      const options = { overwrite: 'always', workerCount: 1 } as const;
      const request = { snapshot, target: Buffer.from(target), options };
      const { problems } = await restore(indexed, request, { environment, monitor, signal });
      return { isWhole: problems.length === 0 && monitor.problems.length === 0 };
    });
  },

  check: async ({ client, backend }) => {
    const { environment, monitor } = client;
    return withSession(client, { backend, lock: 'exclusive' }, async (session) => {
      const { repository, signal } = session;
      const how = { readData: { kind: 'all' } } as const;
      const { errors } = await check(repository, how, { environment, monitor, signal });
      return { isWhole: errors.length === 0, said: errors };
    });
  },

  prune: async ({ client, backend, isInstant: instant }) => {
    const { environment, monitor, probe } = client;
    const lockKind = instant ? 'exclusive' : 'prune';
    return withSession(client, { backend, lock: lockKind }, async (session) => {
      const { repository, lock, signal, loadWholeIndex } = session;
      const context = { environment, monitor, signal };
      const source = { repository, loadIndex: loadWholeIndex };
      const policy = { maxUnused: { kind: 'percent', percent: 0 } } as const;
      const plan = await planPrune(source, { policy, instant, keepDeleteMs }, context);
      await lock.settled;
      const commit = (): ReturnType<typeof session.takeLock> => session.takeLock('commit', lock);
      const { blockedBy } = await executePrune(plan, { lock, commit, probe }, context);
      return { isWhole: blockedBy === undefined };
    });
  },

  copy: async ({ client, backend, other, isSource }) => {
    const { environment, monitor } = client;
    const [from, to] = isSource ? [backend, other] : [other, backend];
    return withSession(client, { backend: from, lock: 'shared' }, (source) =>
      withSession(client, { backend: to, lock: 'shared' }, async (target) => {
        const snapshots = await loadSnapshots(source.repository, { signal: source.signal });
        const existing = await loadSnapshots(target.repository, { signal: target.signal });
        const request = {
          snapshots,
          existing,
          source: await source.loadIndex(),
          target: await target.loadIndex(),
          lock: target.lock,
        };
        const signal = AbortSignal.any([source.signal, target.signal]);
        const { copied, failed } = await copySnapshots(request, { environment, monitor, signal });
        return { isWhole: failed.length === 0, stored: copied.map(({ target: id }) => id) };
      }),
    );
  },
};

const backupOptions = {
  hostname: 'host',
  username: 'user',
  uid: 0,
  gid: 0,
  programVersion: 'holdfast test',
  tags: [],
  groupBy: { host: true, paths: true, tags: false },
  workerCount: 1,
};
