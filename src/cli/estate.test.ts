import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../test/tools/in-process.ts';
import { type Environment, systemEnvironment } from '../base/environment.ts';
import { estateJsonSchema } from '../contracts/estate.ts';
import { jsonLines } from './holdfast-test-support.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-estate-'));
const file = path.join(folder, 'estate.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

const nowMs = Date.parse('2026-10-23T12:00:00Z');
const environment: Environment = {
  ...systemEnvironment,
  clock: { ...systemEnvironment.clock, wallMs: () => nowMs },
};

const run = (...args: string[]): ReturnType<typeof runCommand> =>
  runCommand(args, { variables: { HOME: folder }, environment });

async function checked(text: string, ...args: string[]): Promise<string> {
  writeFileSync(file, text);
  const { output, errors } = await run('estate', 'check', '-f', file, ...args);
  return (output + errors).replaceAll(folder, '…');
}

const estate = `version: 1
repositories:
  disk: { location: /srv/backup, password-file: /etc/pass }
  away: { location: "sftp:host:/srv", password-file: /etc/pass }
  idle: { location: /srv/idle, password-file: /etc/pass }
policies:
  night:
    time-zone: Europe/Berlin
    repository: disk
    backup: { daily: ["02:30"] }
    windows: ["00:00-06:00"]
    retention: { keep-daily: 7, keep-within-monthly: 1y, hold-tags: [] }
    copies: [{ repository: away }]
    verify: { within: 30d }
  unused: { repository: disk, backup: { cron: "0 4 * * *" } }
sources:
  documents: { kind: files, paths: [/home], policy: night }
`;

test('check says what each policy means, and when it runs, over a change of clocks', async () => {
  expect(await checked(estate)).toMatchInlineSnapshot(`
    "Policy night
      Backs up each day at 02:30 to disk (only 00:00-06:00).
      A source is overdue when two runs in a row brought no snapshot.
      Keeps 7 daily snapshots, one a month of the last 1y, at least 1 of them sound, in disk.
      Copies snapshots to away after each backup. Keeps all snapshots there.
      Frees no space: it has no "prune".
      Reads all that is stored back within 30 days, a share each day.
      Proves no restore: it has no "drill".
      Next "back up documents": Sat 2026-10-24 02:30 CEST, Sun 2026-10-25 02:30 CEST, Mon 2026-10-26 02:30 CET, Tue 2026-10-27 02:30 CET, Wed 2026-10-28 02:30 CET
      Next "copy documents to away": Sat 2026-10-24 02:30 CEST, Sun 2026-10-25 02:30 CEST, Mon 2026-10-26 02:30 CET, Tue 2026-10-27 02:30 CET, Wed 2026-10-28 02:30 CET
      Next "verify disk": Sat 2026-10-24 01:00 CEST, Sun 2026-10-25 01:00 CEST, Mon 2026-10-26 00:00 CET, Tue 2026-10-27 00:00 CET, Wed 2026-10-28 00:00 CET
      Next "verify away": Sat 2026-10-24 01:00 CEST, Sun 2026-10-25 01:00 CEST, Mon 2026-10-26 00:00 CET, Tue 2026-10-27 00:00 CET, Wed 2026-10-28 00:00 CET

    Policy unused
      Backs up by the cron expression "0 4 * * *" to disk.
      A source is overdue when two runs in a row brought no snapshot.
      Keeps all snapshots in disk.
      Reads nothing back: it has no "verify".
      Proves no restore: it has no "drill".
      No source has it.

    No policy uses the repository idle.
    1 source: the file is right.
    "
  `);
});

test('check as JSON has sentences and times of each duty', async () => {
  const lines = jsonLines(await checked(estate, '--json')) as { [key: string]: unknown }[];
  expect(lines.filter((line) => line['message_type'] === 'policy').length).toBe(2);
  expect(lines.find((line) => line['duty'] === 'back up documents')).toMatchObject({
    kind: 'backup',
    policy: 'night',
    next: [
      '2026-10-24T00:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
      '2026-10-27T01:30:00.000Z',
      '2026-10-28T01:30:00.000Z',
    ],
  });
});

describe('check names what cannot be held', () => {
  test.each([
    ['backup: { daily: ["02:30"] }', 'backup: { cron: "0 25 * * *" }'],
    ['backup: { daily: ["02:30"] }', 'backup: { cron: "0 0 30 2 *" }'],
    ['windows: ["00:00-06:00"]', 'windows: ["mon"]\n    not-during: ["sun-tue"]'],
    ['windows: ["00:00-06:00"]', 'blackout: ["2026-12-24..12-26"]'],
    ['windows: ["00:00-06:00"]', 'blackout: ["2026-12-24..2026-01-01"]'],
    ['verify: { within: 30d }', 'verify: { within: 30d, when: { every: 31d } }'],
  ])('%s: %s', async (part, other) => {
    expect(estate).toContain(part);
    expect(await checked(estate.replace(part, other))).toMatchSnapshot();
  });

  test('a file that is not there, or none', async () => {
    expect((await run('estate', 'check', '-f', '/none')).errors).toMatch(
      /^Fatal: the estate file "\/none" does not exist\n/,
    );
    expect((await run('estate', 'check')).errors).toMatch(/^Fatal: no estate file was named\n/);
  });
});

test('each example is right', async () => {
  for (const preset of ['gold', 'silver', 'bronze']) {
    const { output, exitCode } = await run('estate', 'example', '--preset', preset);
    expect(exitCode).toBe(0);
    expect(await checked(output)).toMatch(/1 source: the file is right\.\n$/);
  }
});

test('the example of the documentation is right', async () => {
  const text = readFileSync('docs/ESTATE.md', 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  expect(await checked(example)).toMatch(/2 sources: the file is right\.\n$/);
});

test('schema prints the JSON schema', async () => {
  const { output } = await run('estate', 'schema');
  expect(JSON.parse(output)).toEqual(JSON.parse(JSON.stringify(estateJsonSchema())));
});
