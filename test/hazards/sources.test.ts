import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { openCommandSource } from '../../src/sources/stream/command-source.ts';
import {
  backUp,
  backUpSource,
  initRepository,
  listSnapshots,
  password,
  restoreLatest,
} from '../tools/engine.ts';
import { program } from '../tools/program.ts';
import { mustRun, type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('hazards');

let repository: string;
let folder: string;
beforeEach(async () => {
  folder = scratch.fresh('tree');
  repository = scratch.fresh('repository');
  mkdirSync(folder);
  await initRepository(repository);
});

/** Runs the command line; its cache is in `cache`. */
function holdfast(args: readonly string[], cache?: string): Promise<ProgramRun> {
  const place = cache === undefined ? ['--no-cache'] : ['--cache-dir', cache];
  return runProgram(process.execPath, [program, ...place, ...args], {
    variables: { RESTIC_PASSWORD: password },
  });
}

describe('C19: a database that is being written', () => {
  test('is stored whole by a command that reads it in one transaction', async () => {
    const file = `${folder}/live.db`;
    const writer = spawn(process.execPath, ['--no-warnings', '-e', databaseWriter, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    try {
      const command = [process.execPath, '--no-warnings', '-e', databaseReader, file];
      const fileName = Buffer.from('dump.db');
      const source = await openCommandSource(command, { environment, fileName });
      const backup = await backUpSource(repository, source);
      expect(backup.complaints).toEqual([]);
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'close');
    }
    const target = scratch.fresh('restored');
    await restoreLatest(repository, target);
    const database = new DatabaseSync(`${target}/dump.db`);
    const [check] = database.prepare('PRAGMA integrity_check').all();
    expect(check).toMatchObject({ integrity_check: 'ok' });
    // Each transaction of the writer adds to one account what it takes from another.
    expect(database.prepare('SELECT sum(amount) AS sum FROM accounts').get()).toEqual({ sum: 0 });
    database.close();
  });

  test('makes no snapshot when the command fails in the middle', async () => {
    const command = ['sh', '-c', 'echo some of it; exit 3'];
    const fileName = Buffer.from('dump');
    const source = await openCommandSource(command, { environment, fileName });
    await expect(backUpSource(repository, source)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
    });
    expect(await listSnapshots(repository)).toEqual([]);
  });
});

const databaseWriter = `
  const { DatabaseSync } = require('node:sqlite');
  const database = new DatabaseSync(process.argv[1]);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER)');
  for (let i = 0; i < 500; i++) database.exec('INSERT INTO accounts (amount) VALUES (0)');
  for (let i = 0; ; i++) {
    const [from, to] = [1 + (i % 500), 1 + ((i * 7) % 500)];
    database.exec('BEGIN; UPDATE accounts SET amount = amount - 1 WHERE id = ' + from +
      '; UPDATE accounts SET amount = amount + 1 WHERE id = ' + to + '; COMMIT');
    if (i === 100) console.log('writing');
  }`;

const databaseReader = `
  const { DatabaseSync } = require('node:sqlite');
  const { mkdtempSync, readFileSync, rmSync, writeSync } = require('node:fs');
  const folder = mkdtempSync(process.argv[1] + '-');
  const database = new DatabaseSync(process.argv[1]);
  database.exec("PRAGMA busy_timeout = 20000; VACUUM INTO '" + folder + "/copy'");
  const bytes = readFileSync(folder + '/copy');
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  rmSync(folder, { recursive: true });`;

/** Backs up while there is a file in the folder, and removes the file. */
async function backUpFull(targets: readonly string[]): Promise<void> {
  writeFileSync(`${folder}/file`, 'x');
  expect((await backUp(repository, targets)).exitCode).toBe(0);
  rmSync(`${folder}/file`);
}

describe('a source that is empty', () => {
  const emptied = 'it is empty, and was not in ';

  test('and was not in the parent makes no clean snapshot, once', async () => {
    await backUpFull([folder]);
    const backup = await backUp(repository, [folder]);
    expect(backup.complaints).toEqual([`${folder}: ${emptied}the parent snapshot`]);
    expect((await backUp(repository, [folder])).exitCode).toBe(0);
  });

  test('and was not makes no clean snapshot, also if every file is read again', async () => {
    await backUpFull([folder]);
    const backup = await backUp(repository, [folder], { options: { force: true } });
    expect(backup.complaints).toEqual([`${folder}: ${emptied}the parent snapshot`]);
  });

  test('and was not makes no clean snapshot, also beside another one', async () => {
    await backUpFull([folder]);
    const other = scratch.fresh('other');
    mkdirSync(other);
    writeFileSync(`${other}/file`, 'x');
    const [snapshot] = await listSnapshots(repository);
    const why = `${emptied}snapshot ${snapshot?.id.slice(0, 8)}`;
    const options = { groupBy: { host: true, paths: true, tags: false } };
    const backup = await backUp(repository, [folder, other], { options });
    expect(backup.complaints).toEqual([`${folder}: ${why}`]);
  });

  test('and was not on another host is fine, and is noted', async () => {
    await backUpFull([folder]);
    const backup = await backUp(repository, [folder], { options: { hostname: 'another' } });
    expect(backup.complaints).toEqual([]);
    expect(backup.notes).toEqual([`${folder}: this folder is empty`]);
  });

  test('and always was is fine, and is noted once', async () => {
    const first = await backUp(repository, [folder]);
    expect(first).toMatchObject({ exitCode: 0, notes: [`${folder}: this folder is empty`] });
    expect(await backUp(repository, [folder])).toMatchObject({ exitCode: 0, notes: [] });
  });
});

describe('C20: exclude patterns', () => {
  // One that tries all ways to match would not come to an end.
  test('cost little, also 10,000 of them, and those made to be slow', async () => {
    for (let i = 0; i < 2000; i++) writeFileSync(`${folder}/${'a'.repeat(150)}${i}`, '');
    writeFileSync(`${folder}/excluded-9999`, '');
    const patterns = [
      ...Array.from({ length: 10_000 }, (_, i) => `excluded-${i}`),
      ...Array.from({ length: 500 }, (_, i) => `*x${i}*`),
      `${'*a'.repeat(60)}b`,
      `${'[a-z]*'.repeat(40)}!`,
      `/**/${'a*/**/'.repeat(20)}b`,
    ];
    const backup = await backUp(repository, [folder], { source: { exclude: { patterns } } });
    expect(backup.complaints).toEqual([]);
    expect(backup.summary.totalFilesProcessed).toBe(2000);
  });
});

describe('C21: a source that holds the repository or the cache, or is it', () => {
  const refusal = 'a source contains the repository or its cache';

  test.each(['/', '/.'])('is refused: the repository%s', async (below) => {
    const run = await holdfast(['-r', repository, 'backup', `${repository}${below}`]);
    expect(run.errors).toContain('the repository');
    expect(run.exitCode).toBe(1);
    expect(await listSnapshots(repository)).toEqual([]);
  });

  test('gives nothing of a folder of the repository, and says so', async () => {
    const args = ['-r', repository, 'backup', `${repository}/data`];
    const alone = await holdfast(args);
    expect(alone.errors).toContain('the repository is part of the source: its folder is left out');
    expect(alone.errors).toContain('no snapshot was made');
    expect(alone.exitCode).toBe(1);
    expect(await listSnapshots(repository)).toEqual([]);
    expect((await holdfast([...args, folder])).exitCode).toBe(3);
    const target = scratch.fresh('restored');
    await restoreLatest(repository, target);
    expect(await mustRun('find', [target, '-path', `*${repository}*`])).toBe('');
  });

  test('is refused: a folder above, also through links', async () => {
    writeFileSync(`${folder}/file`, 'x');
    const inner = `${folder}/below/repository`;
    mkdirSync(`${folder}/below`);
    await initRepository(inner);
    const link = scratch.fresh('link');
    symlinkSync(inner, link);
    for (const location of [inner, link]) {
      const run = await holdfast(['-r', location, 'backup', folder]);
      expect(run.errors).toContain(refusal);
      expect(run.exitCode).toBe(1);
    }
    const run = await holdfast(['-r', inner, 'backup', '--exclude', inner, folder]);
    expect(run.errors).toBe('');
    expect(run.exitCode).toBe(0);
    const target = scratch.fresh('restored');
    await restoreLatest(inner, target);
    expect(readFileSync(`${target}${folder}/file`, 'utf8')).toBe('x');
  });

  test('is left out if it is our cache', async () => {
    writeFileSync(`${folder}/file`, 'x');
    const cache = `${folder}/cache`;
    const first = await holdfast(['-r', repository, 'backup', folder], cache);
    expect(first).toMatchObject({ exitCode: 0, errors: '' });
    const target = scratch.fresh('restored');
    await restoreLatest(repository, target);
    expect(await mustRun('ls', [`${target}${folder}`])).toBe('file\n');
  });
});
