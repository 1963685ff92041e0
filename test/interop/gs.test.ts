import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { rsyncDifferences } from '../tools/compare.ts';
import { cheapKeyed, hurried, password } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { startModelGoogle } from '../tools/model-google.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

// That restic, with Google's own client, understands the model is what the model is judged by.
describeWith(['restic', 'rsync'], 'a repository in a model of Google Cloud Storage', () => {
  const scratch = scratchFolder('gs');
  const source = join(scratch.path, 'source');

  /** Several packs of data, and one of trees. */
  const makeSource = (): void => {
    mkdirSync(join(source, 'folder'), { recursive: true });
    for (const [i, sizeBytes] of [0, 1, 70_000, 3_000_000].entries()) {
      const content = createHash('shake256', { outputLength: sizeBytes }).update(`${i}`).digest();
      writeFileSync(join(source, 'folder', `${i}`), content);
    }
  };
  beforeAll(makeSource);
  const model = startModelGoogle();

  /** Both programs take the same. */
  const variables = (): Record<string, string> => ({
    STORAGE_EMULATOR_HOST: model.address,
    GOOGLE_PROJECT_ID: 'project',
    GOOGLE_ACCESS_TOKEN: 'token',
    RESTIC_REPOSITORY: 'gs:backups:/of/this',
    RESTIC_PASSWORD: password,
    HOME: scratch.path,
  });
  const restic = (...args: string[]): Promise<string> =>
    mustRun('restic', ['--no-cache', ...args], { variables: variables() });
  const holdfast = async (...args: string[]): Promise<void> => {
    const environment = args[0] === 'init' ? cheapKeyed() : hurried;
    const settings = { variables: variables(), environment };
    const { exitCode, errors } = await runCommand(['--no-cache', ...args], settings);
    expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  };

  test('is written, checked and restored by holdfast and restic in turn', async () => {
    await holdfast('init');
    await holdfast('backup', source);
    await restic('check', '--read-data');
    const byRestic = scratch.fresh('by-restic');
    await restic('restore', 'latest', '--target', byRestic);
    expect(await rsyncDifferences(source, join(byRestic, source))).toEqual([]);
    writeFileSync(join(source, 'more'), 'of it');
    await restic('backup', '-q', source);
    await holdfast('check', '--read-data');
    const byHoldfast = scratch.fresh('by-holdfast');
    await holdfast('restore', 'latest', '--target', byHoldfast);
    expect(await rsyncDifferences(source, join(byHoldfast, source))).toEqual([]);
    await holdfast('forget', '--keep-last', '1', '--prune');
    await restic('check', '--read-data');
    expect(JSON.parse(await restic('snapshots', '--json'))).toHaveLength(1);
  });
});
