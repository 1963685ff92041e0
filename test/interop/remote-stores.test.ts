import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { treeDifferences } from '../tools/compare.ts';
import { type CountingProxy, startCountingProxy } from '../tools/counting-proxy.ts';
import { cheapKeyed, hurried, password } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { type RcloneServer, startRcloneServer } from '../tools/rclone-server.ts';
import { program } from '../tools/program.ts';
import { compiledOnce, mustRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('remote-stores');
const source = path.join(scratch.path, 'source');
const folders = {
  rest: path.join(scratch.path, 'rest'),
  rclone: path.join(scratch.path, 'rclone'),
  webdav: path.join(scratch.path, 'webdav', 'repository'),
};

beforeAll(() => {
  mkdirSync(path.join(source, 'below'), { recursive: true });
  for (let i = 0; i < 30; i++) {
    writeFileSync(path.join(source, 'below', `file ${i}`), `content ${i}\n`.repeat(i * 100));
  }
});

async function holdfast(location: string, args: readonly string[]): Promise<CommandRun> {
  const isInit = args[0] === 'init';
  const run = await runCommand(args, {
    variables: {
      PATH: process.env['PATH'] ?? '',
      RCLONE_CONFIG: '/dev/null',
      HOLDFAST_REPOSITORY: location,
      HOLDFAST_PASSWORD: password,
      HOLDFAST_CACHE_DIR: path.join(scratch.path, 'cache'),
    },
    environment: isInit ? cheapKeyed() : hurried,
  });
  // rclone says that there is nothing yet.
  if (!isInit) expect(run.errors).toBe('');
  expect(run.exitCode).toBe(0);
  return run;
}

describeWith(['restic', 'rclone'], 'a repository on a server', () => {
  let server: RcloneServer;
  let webdav: RcloneServer;
  let proxy: CountingProxy;
  beforeAll(async () => {
    mkdirSync(folders.rest);
    mkdirSync(path.dirname(folders.webdav));
    server = await startRcloneServer('restic', folders.rest);
    webdav = await startRcloneServer('webdav', path.dirname(folders.webdav));
    proxy = await startCountingProxy(server.port);
  });
  afterAll(async () => {
    await proxy?.stop();
    await webdav?.stop();
    await server?.stop();
  });

  const locations = {
    rest: () => `rest:http://127.0.0.1:${proxy.port}/`,
    rclone: () => `rclone:${folders.rclone}`,
    webdav: () => `webdav:http://127.0.0.1:${webdav.port}/repository`,
  };

  /** What restic uses: the server has a cache of its own, so where it has, restic goes through it, too. */
  const resticLocations = {
    rest: locations.rest,
    rclone: () => folders.rclone,
    webdav: () => 'rclone:dav:repository',
  };

  async function restic(scheme: keyof typeof folders, args: readonly string[]): Promise<void> {
    const run = await runProgram(
      'restic',
      ['--no-cache', '-r', resticLocations[scheme](), ...args],
      {
        variables: {
          RESTIC_PASSWORD: password,
          RCLONE_CONFIG: '/dev/null',
          RCLONE_CONFIG_DAV_TYPE: 'webdav',
          RCLONE_CONFIG_DAV_VENDOR: 'other',
          RCLONE_CONFIG_DAV_URL: `http://127.0.0.1:${webdav.port}`,
        },
      },
    );
    expect(run.errors).toBe('');
    expect(run.exitCode).toBe(0);
  }

  test.each(['rest', 'rclone', 'webdav'] as const)(
    'is the same to restic, by %s: each writes, and each checks and restores all',
    async (scheme) => {
      const location = locations[scheme]();
      const folder = folders[scheme];
      await holdfast(location, ['init']);
      await holdfast(location, ['backup', source]);
      await restic(scheme, ['check', '--read-data']);
      writeFileSync(path.join(source, 'changed'), `for ${scheme}`);
      await restic(scheme, ['backup', '-q', source]);
      const checked = await holdfast(location, ['check', '--read-data']);
      expect(checked.output).toMatch(/no errors were found/);
      const target = scratch.fresh('target');
      await holdfast(location, ['restore', 'latest', '--target', target]);
      expect(await treeDifferences(source, path.join(target, source))).toEqual([]);
      await holdfast(location, ['forget', '--keep-last', '1', '--prune', '--instant']);
      await restic(scheme, ['check', '--read-data']);
      expect(readdirSync(path.join(folder, 'locks'))).toEqual([]);
    },
  );

  test('is asked for little by a backup of nothing new', async () => {
    // The folders above a source are part of a tree, and others change them.
    const cwd = scratch.path;
    const variables = {
      RESTIC_REPOSITORY: locations.rest(),
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: path.join(scratch.path, 'restic-cache'),
      HOLDFAST_CACHE_DIR: path.join(scratch.path, 'cache'),
      ...compiledOnce,
    };
    const own = async (args: readonly string[]): Promise<void> =>
      void (await mustRun(process.execPath, [program, ...args], { cwd, variables }));
    const its = async (args: readonly string[]): Promise<void> =>
      void (await mustRun('restic', args, { cwd, variables }));
    const counts: number[] = [];
    for (const backUp of [own, its]) {
      await backUp(['backup', '-q', 'source']);
      await backUp(['backup', '-q', 'source']);
      proxy.taken();
      await backUp(['backup', '-q', 'source']);
      const requests = proxy.taken();
      counts.push(requests.length);
      const stored = requests.filter((request) => /^POST (?!locks)/.test(request));
      expect(stored).toEqual(['POST snapshots/FILE']);
    }
    // One more than restic's: rclone does not tell what it stored, so that the snapshot is asked for.
    expect(counts).toMatchInlineSnapshot(`
      [
        12,
        11,
      ]
    `);
  });
});
