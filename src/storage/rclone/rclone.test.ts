import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { systemEnvironment } from '../../base/environment.ts';
import { describeError } from '../../base/errors.ts';
import { systemClock } from '../../base/clock.ts';
import { utf8 } from '../../base/bytes.ts';
import { describeWith } from '../../../test/tools/peers.ts';
import type { Backend } from '../backend.ts';
import { describeBackend, handleFor } from '../conformance.ts';
import { ForwardingBackend } from '../forward.ts';
import { openBackend } from '../open.ts';
import { temporaryFolder } from '../test-support.ts';

const config = { type: 'config', name: '' } as const;
const variables = { PATH: process.env['PATH'], RCLONE_CONFIG: '/dev/null' };

/** Of all tests: rclone takes half a second to start. */
class KeptOpen extends ForwardingBackend {
  override async close(): Promise<void> {}
}

function open(folder: string, options: Readonly<Record<string, string>> = {}): Promise<Backend> {
  const extended = new Map(Object.entries(options));
  return openBackend(`rclone:${folder}`, { environment: systemEnvironment, variables, extended });
}

async function why(options: Readonly<Record<string, string>>): Promise<string> {
  return describeError(await open('/nowhere', options).catch((error: unknown) => error));
}

describeWith(['rclone'], 'with a local remote', () => {
  const folder = temporaryFolder();
  const repository = path.join(folder.path, 'repository');
  // The tests empty the folder behind it.
  const uncached = { 'rclone.args': 'serve restic --stdio --cache-objects=false' };
  let backends: Backend[] = [];
  beforeAll(async () => {
    backends = await Promise.all([open(repository, uncached), open(repository, uncached)]);
  });
  afterAll(async () => {
    for (const backend of backends) await backend.close();
    folder.remove();
  });

  describeBackend('rclone', async () => {
    const [backend, other] = backends.map((opened) => new KeptOpen(opened));
    if (!backend || !other) throw new Error('nothing is open');
    rmSync(repository, { recursive: true, force: true });
    await backend.create();
    return {
      backend,
      other,
      fileCount: 40,
      lacks: new Set(['exclusive-put']),
      dispose: async () => {},
    };
  });

  test('starts rclone again when it was killed, and ends it at the end', async () => {
    const remote = path.join(folder.path, 'killed');
    const backend = await open(remote);
    await backend.create();
    await backend.put(config, [utf8('config')]);
    const [first] = processesWith(remote);
    process.kill(first ?? 0, 'SIGKILL');
    expect(await backend.get(config)).toEqual(utf8('config'));
    await backend.put(handleFor('pack', 'after'), [utf8('pack')]);
    expect(processesWith(remote)).toHaveLength(1);
    await backend.close();
    expect(processesWith(remote)).toEqual([]);
  });
});

test('says in one line that rclone is missing, or that it ends at once', async () => {
  expect(await why({ 'rclone.program': '/absent/rclone' })).toMatchInlineSnapshot(
    `"rclone was not found (program: /absent/rclone, code: ENOENT)"`,
  );
  const said = { 'rclone.program': '/bin/sh', 'rclone.args': '-c "echo bad remote >&2; exit 4"' };
  expect(await why(said)).toMatchInlineSnapshot(
    `"rclone ended at once: bad remote (program: /bin/sh, exitCode: 4)"`,
  );
  expect(await why({ 'rclone.timeout': 'soon' })).toMatchInlineSnapshot(
    `"option "rclone.timeout" is not a time such as 90s or 5m"`,
  );
});

test('gives up an rclone that never answers', async () => {
  const options = {
    'rclone.program': '/bin/sleep',
    'rclone.args': '1000',
    'rclone.timeout': '20ms',
  };
  const backend = openBackend('rclone:7', {
    environment: { ...systemEnvironment, clock: systemClock },
    variables,
    extended: new Map(Object.entries(options)),
  });
  await expect(backend).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
});

/** Numbers of the processes with this argument. */
function processesWith(argument: string): number[] {
  const ids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return ids.filter((id) => argumentsOf(id).includes(argument)).map(Number);
}

function argumentsOf(id: string): string[] {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'latin1').split('\0');
  } catch {
    return [];
  }
}
