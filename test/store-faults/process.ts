import { mkdirSync } from 'node:fs';

import type { Backend } from '../../src/storage/backend.ts';
import type { MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { password } from '../tools/engine.ts';
import { program } from '../tools/program.ts';
import { runProgram } from '../tools/run-program.ts';
import { loadAll, openFolder, storeAll } from './bed.ts';
import type { OperationName, Outcome, Shape, Work } from './operations.ts';
import type { Place } from './stores.ts';

interface ProcessCase {
  readonly operation: OperationName;
  readonly place: Place;
  readonly shape: Shape;
  readonly work: Work;
  readonly other: MemoryFiles;
}

/** Runs the operation as a process of the program, started by a command. */
export async function runProcess(
  [command = '', ...before]: readonly string[],
  one: ProcessCase,
): Promise<Outcome> {
  const { repository, options, variables } = one.place.name('straight');
  const args = [program, '--no-cache', ...options, ...(await argumentsFor(one, repository))];
  const isTarget = one.operation === 'copy' && one.shape.isSource;
  const run = await runProgram(command, [...before, process.execPath, ...args], {
    variables: {
      RESTIC_REPOSITORY: isTarget ? `${one.work.target}-other` : repository,
      RESTIC_PASSWORD: password,
      RESTIC_FROM_PASSWORD: password,
      HOME: '/nonexistent',
      ...variables,
    },
  });
  await takeOther(one);
  const said = run.errors.split('\n').filter((line) => line !== '');
  const end = run.exitCode === 0 ? 'ok' : run.exitCode === 3 ? 'part' : 'failed';
  const isDefect = run.exitCode === null || /\n    at |assert|ERR_/i.test(run.errors);
  return {
    end,
    stored: [],
    said,
    codes: end === 'ok' ? [] : [`EXIT_${run.exitCode}`],
    ...(isDefect && { defect: new Error(`${run.signal} ${run.errors}`) }),
  };
}

async function argumentsFor(one: ProcessCase, repository: string): Promise<readonly string[]> {
  const { operation, shape, work } = one;
  switch (operation) {
    case 'backup':
      return ['backup', '--host', 'host', work.source];
    case 'restore':
      mkdirSync(work.target, { recursive: true });
      return ['restore', 'latest', '--target', work.target];
    case 'check':
      return ['check', '--read-data'];
    case 'prune':
      return ['prune', '--max-unused', '0', ...(shape.isInstant ? ['--instant'] : [])];
    case 'copy': {
      const other = `${work.target}-other`;
      await storeAll(one.other, await openFolder(other));
      return ['copy', '--from-repo', shape.isSource ? repository : other];
    }
  }
}

/** What a copy has made of the other side. */
async function takeOther({ operation, work, other }: ProcessCase): Promise<void> {
  if (operation !== 'copy') return;
  const backend: Backend = await openFolder(`${work.target}-other`);
  for (const [key, bytes] of await loadAll(backend)) other.set(key, bytes);
}
