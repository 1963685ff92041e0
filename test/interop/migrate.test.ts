import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { backUp, checkAll, initRepository, password } from '../tools/engine.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { mustRestic } from '../tools/restic.ts';
import { type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('interop-migrate');
/** A repository of version 1 with a snapshot, and a folder to work in. */
async function makeOld(): Promise<{ repository: string; cwd: string; source: string }> {
  const repository = scratch.fresh('repository');
  const cwd = scratch.fresh('work');
  const source = scratch.fresh('source');
  for (const folder of [cwd, source]) mkdirSync(folder);
  writeFileSync(`${source}/a`, 'text '.repeat(10_000));
  await initRepository(repository, { version: 1 });
  await backUp(repository, [source]);
  return { repository, cwd, source };
}

function migrate(
  { repository, cwd }: { readonly repository: string; readonly cwd: string },
  ...args: string[]
): Promise<ProgramRun> {
  const variables = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password };
  return runProgram(process.execPath, [program, '--no-cache', 'migrate', ...args], {
    cwd,
    variables,
  });
}

test('without a name it lists; it applies once; other names are refused', async () => {
  const place = await makeOld();
  const listed = await migrate(place);
  expect(listed.output).toBe(
    'available migrations:\n  upgrade_repo_v2\tupgrade a repository to version 2\n',
  );
  expect(await migrate(place, 'nope', 'upgrade_repo_v2')).toMatchObject({ exitCode: 1 });
  const done = await migrate(place, 'upgrade_repo_v2');
  expect(done).toMatchObject({ exitCode: 0, errors: '' });
  expect(done.output).toMatch(
    /\napplying migration upgrade_repo_v2...\nmigration upgrade_repo_v2: success\n$/,
  );
  expect(readdirSync(place.cwd)).toEqual([]);
  const again = await migrate(place, 'upgrade_repo_v2');
  expect(again.exitCode).toBe(0);
  expect(again.errors).toMatch(/already upgraded to version 2/);
  expect(await migrate(place, 'upgrade_repo_v2', '--force')).toMatchObject({ exitCode: 1 });
  expect((await migrate(place)).output).toMatch(/no migrations found/);
});

test('a damaged repository is not changed', async () => {
  const place = await makeOld();
  const data = `${place.repository}/data`;
  const [folder = ''] = readdirSync(data).filter(
    (name) => readdirSync(`${data}/${name}`).length > 0,
  );
  rmSync(`${data}/${folder}`, { recursive: true });
  const config = readFileSync(`${place.repository}/config`);
  const refused = await migrate(place, 'upgrade_repo_v2');
  expect(refused.exitCode).toBe(1);
  expect(refused.errors).toMatch(/has errors, as told above, and is not changed/);
  expect(readFileSync(`${place.repository}/config`)).toEqual(config);
  expect(readdirSync(place.cwd)).toEqual([]);
});

test('where no copy of the config can be kept, nothing is changed', async () => {
  const place = await makeOld();
  const config = readFileSync(`${place.repository}/config`);
  rmSync(place.cwd, { recursive: true });
  const { repository } = place;
  // A folder that nobody can write to, not even root.
  const refused = await migrate({ repository, cwd: '/proc' }, 'upgrade_repo_v2');
  expect(refused.exitCode).toBe(1);
  expect(readFileSync(`${repository}/config`)).toEqual(config);
});

describeWith(['restic'], 'an upgraded repository', () => {
  test('is one of version 2 for restic, which adds to it and restores both', async () => {
    const place = await makeOld();
    const { repository, source } = place;
    expect(await migrate(place, 'upgrade_repo_v2')).toMatchObject({ exitCode: 0 });
    const config = JSON.parse(await mustRestic(repository, ['cat', 'config'])) as object;
    expect(config).toMatchObject({ version: 2 });
    writeFileSync(`${source}/b`, 'more '.repeat(10_000));
    await mustRestic(repository, ['backup', source]);
    await backUp(repository, [source], { options: { force: true } });
    await mustRestic(repository, ['check', '--read-data']);
    expect((await checkAll(repository)).errorCount).toBe(0);
    const target = scratch.fresh('target');
    await mustRestic(repository, ['restore', 'latest', '--target', target]);
    expect(existsSync(`${target}${source}/b`)).toBe(true);
  });
});
