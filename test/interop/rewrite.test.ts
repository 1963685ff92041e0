import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run } from '../crash/killed-run.ts';
import { backUp, initRepository } from '../tools/engine.ts';
import { hazardTree, modestHazardTree } from '../tools/hazard-tree.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { testScale } from '../tools/seeds.ts';
import { makeTree } from '../tools/tree-spec.ts';

const scratch = scratchFolder('rewrite');
const repository = join(scratch.path, 'repository');

/** What rewriting makes of the repository, ids and new trees aside that depend on nothing but chance. */
async function snapshotsOf(place: string): Promise<unknown[]> {
  const output = await mustRestic(place, ['snapshots', '--json', '--no-lock']);
  return (JSON.parse(output) as Record<string, unknown>[])
    .map(({ id: _id, short_id: _short, ...rest }) => rest)
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** What was said, without ids, in any order. */
function linesOf(output: string): string[] {
  return output
    .replace(/\b[0-9a-f]{8}\b/g, 'ID')
    .split('\n')
    .toSorted();
}

const changes: readonly (readonly string[])[] = [
  ['--exclude', 'f*', '--iexclude', 'D*'],
  ['--include', 's*', '--forget'],
  ['--exclude', 'tree', '--forget'],
  ['--include', 'no such name'],
  ['--new-host', 'new', '--new-time', '2020-01-02 03:04:05', '--exclude', 'tree/f*'],
  ['--exclude', 'f*', '--dry-run', '--new-host', 'new'],
];

describeWith(['restic', 'rsync', 'bsdtar', 'root'], 'rewriting', () => {
  beforeAll(async () => {
    // Content is not touched.
    makeTree(`${scratch.path}/tree`, testScale > 1 ? hazardTree() : modestHazardTree());
    await initRepository(repository);
    await backUp(repository, ['tree'], { source: { workingDirectory: scratch.path } });
    const more = ['--tag', 'a,b', '--host', 'other', 'tree'];
    await mustRestic(repository, ['backup', '-q', ...more], { cwd: scratch.path });
  });

  test.each(changes)('gives what restic gives: %s %s %s %s', async (...args) => {
    const [ours, theirs] = [scratch.fresh('ours'), scratch.fresh('theirs')];
    for (const place of [ours, theirs]) cpSync(repository, place, { recursive: true });
    const said = await run({ repository: ours, args: ['rewrite', ...args] });
    expect(said).toMatchObject({ exitCode: 0, errors: '' });
    const theirSaid = await mustRestic(theirs, ['rewrite', ...args]);
    expect(linesOf(said.output)).toEqual(linesOf(theirSaid));
    expect(await snapshotsOf(ours)).toEqual(await snapshotsOf(theirs));
    await mustRestic(ours, ['check', '--read-data']);
    for (const place of [ours, theirs]) scratch.remove(place);
  });

  test('what says nothing, or too much, is refused', async () => {
    const patterns = join(scratch.path, 'patterns');
    writeFileSync(patterns, 'x\n');
    const wrong = [[], ['--exclude', 'x', '--include-file', patterns], ['--new-time', 'bogus']];
    for (const args of wrong) {
      const said = await run({ repository, args: ['rewrite', ...args] });
      expect(said).toMatchObject({ exitCode: 1, output: '' });
      expect(said.errors).toMatch(/^Fatal: /);
    }
  });
});
