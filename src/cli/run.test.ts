import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hurried } from '../../test/tools/engine.ts';
import { runCommand } from '../../test/tools/in-process.ts';
import { mustRestic } from '../../test/tools/restic.ts';
import type { Environment } from '../base/environment.ts';
import type { Estate } from '../contracts/estate.ts';
import { formatEstate } from '../contracts/estate-file.ts';
import type { Policy } from '../contracts/policy.ts';
import type { FilesSource } from '../contracts/source-entry.ts';
import { finished, jsonLines, password, TestPlace } from './holdfast-test-support.ts';

/** Runs of `holdfast run` on real repositories; what is days apart runs on a clock of its own. */

const place = TestPlace.create();
const { folder } = place;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Milliseconds by which the clock of the next command is ahead. */
let aheadMs = 0;

beforeAll(async () => {
  writeFileSync(place.at('password'), password);
  mkdirSync(place.at('source'));
  for (let i = 0; i < 5; i++) writeFileSync(place.at('source', `file-${i}`), `content ${i}`);
  await place.createRepository(place.at('first'));
  await place.createRepository(place.at('second'));
});
beforeEach(() => {
  aheadMs = 0;
});
afterAll(() => place.remove());

/** An estate with one source and the policy's parts. */
function estateWith(policy: Partial<Policy>, parts: Partial<Estate> = {}): Estate {
  const file = place.at('password');
  return {
    version: 1,
    repositories: {
      first: { location: place.at('first'), 'password-file': file },
      second: { location: place.at('second'), 'password-file': file },
    },
    policies: {
      p: {
        repository: 'first',
        'time-zone': 'UTC',
        backup: { every: '1h' },
        retries: { times: 0, wait: '1s' },
        'retry-lock': '1s',
        ...policy,
      },
    },
    sources: { documents: { kind: 'files', paths: [place.at('source')], policy: 'p' } },
    ...parts,
  };
}

function documentsOf({ sources: { documents } }: Estate): FilesSource {
  if (documents?.kind !== 'files') throw new Error('it has these files');
  return documents;
}

/** The system's clock, ahead by what the test says. */
function ahead(): Environment {
  const { clock } = hurried;
  const shift = aheadMs;
  return {
    ...hurried,
    clock: {
      ...clock,
      wallMs: () => clock.wallMs() + shift,
      wallNs: () => clock.wallNs() + BigInt(shift) * 1_000_000n,
    },
  };
}

interface Step {
  readonly message_type: string;
  readonly duty: string;
  readonly outcome?: string;
  readonly summary?: string;
  readonly [key: string]: unknown;
}

/** One run of an estate, with what it said as JSON. */
async function runEstate(
  name: string,
  estate: Estate,
  args: readonly string[] = [],
): Promise<{ exitCode: number; lines: Step[]; errors: string; outcomes: Record<string, string> }> {
  const file = place.at(`${name}.yaml`);
  writeFileSync(file, formatEstate(estate));
  const all = ['run', '-f', file, '--state-dir', place.at(`state-${name}`), '--json', ...args];
  const { exitCode, output, errors } = await runCommand(all, {
    variables: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      RESTIC_CACHE_DIR: place.at('cache'),
      ESTATE_PASSWORD: password,
    },
    environment: ahead(),
  });
  const lines = jsonLines(output) as Step[];
  const steps = lines.filter((line) => line.message_type === 'step');
  const outcomes = Object.fromEntries(steps.map((step) => [step.duty, String(step.outcome)]));
  return { exitCode, lines, errors, outcomes };
}

const restic = (repository: string, ...args: string[]): Promise<string> =>
  mustRestic(place.at(repository), args, { password });

describe('a policy with everything', () => {
  const whole = estateWith({
    retention: { 'keep-last': 2 },
    copies: [{ repository: 'second', retention: { 'keep-last': 3 } }],
    prune: { when: { every: '1d' } },
    verify: { within: '4d' },
    drill: { when: { every: '1d' }, files: 3 },
  });

  test('is carried out, once; restic finds both repositories sound', async () => {
    const first = await runEstate('whole', whole);
    expect(first.outcomes).toEqual({
      'back up documents': 'success',
      'copy documents to second': 'success',
      'apply retention to documents in first': 'success',
      'apply retention to documents in second': 'success',
      'free space in first': 'success',
      'free space in second': 'success',
      'verify first': 'success',
      'verify second': 'success',
      'drill documents': 'success',
    });
    expect(first.exitCode).toBe(0);
    expect(first.lines.find(({ duty }) => duty === 'drill documents')?.summary).toMatch(
      /: 3 files, 27 B restored and compared$/,
    );
    const again = await runEstate('whole', whole);
    expect([again.exitCode, again.outcomes]).toEqual([0, {}]);
    for (const repository of ['first', 'second']) {
      expect(await restic(repository, 'check', '--read-data')).toMatch(/no errors were found/);
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('holdfast-drill'))).toEqual([]);
  });

  test('days later it does what each day brings: retention keeps its counts, and verify goes on', async () => {
    const shares: string[] = [];
    for (let day = 1; day <= 4; day++) {
      aheadMs = day * dayMs;
      writeFileSync(place.at('source', 'file-0'), `content of day ${day}`);
      const { exitCode, outcomes, lines } = await runEstate('whole', whole);
      expect([exitCode, new Set(Object.values(outcomes))]).toEqual([0, new Set(['success'])]);
      expect(Object.keys(outcomes).length).toBe(9);
      shares.push(String(lines.find(({ duty }) => duty === 'verify first')?.summary));
    }
    expect(shares.map((text) => text.split(':')[0])).toEqual([
      'part 2 of 3',
      'part 3 of 3',
      'part 1 of 3',
      'part 2 of 3',
    ]);
    const count = async (repository: string): Promise<number> =>
      (JSON.parse(await restic(repository, 'snapshots', '--json')) as unknown[]).length;
    expect([await count('first'), await count('second')]).toEqual([2, 3]);
    expect(await restic('first', 'check', '--read-data')).toMatch(/no errors were found/);
  });

  test('a restore by restic gives what was backed up last', async () => {
    const target = place.at('restored');
    await restic('second', 'restore', 'latest', '--tag', 'source:documents', '--target', target);
    const restored = `${target}${place.at('source')}`;
    expect(readFileSync(`${restored}/file-0`, 'utf8')).toBe('content of day 4');
    rmSync(target, { recursive: true });
  });
});

test('a held snapshot stays, and so do those of others', async () => {
  const estate = estateWith({ retention: { 'keep-last': 1 } }, {});
  const sources = { held: documentsOf(estate) };
  const holding = { ...estate, sources };
  const before = JSON.parse(await restic('first', 'snapshots', '--json')) as unknown[];
  await runEstate('held', holding);
  await restic('first', 'tag', '--add', 'hold', '--tag', 'source:held');
  for (const hours of [1, 2, 3]) {
    aheadMs = hours * hourMs;
    expect((await runEstate('held', holding)).exitCode).toBe(0);
  }
  const after = JSON.parse(await restic('first', 'snapshots', '--json')) as { tags: string[] }[];
  expect(after.length).toBe(before.length + 2);
  expect(after.filter(({ tags }) => tags.includes('hold')).length).toBe(1);
});

describe('what goes wrong', () => {
  test('with one step does not keep the others, and is told with the code of its error', async () => {
    const estate = estateWith({ copies: [{ repository: 'gone' }], retention: { 'keep-last': 5 } });
    const gone = { location: place.at('gone'), 'password-file': place.at('password') };
    const repositories = { ...estate.repositories, gone };
    const { exitCode, outcomes, errors } = await runEstate('gone', { ...estate, repositories });
    expect(outcomes).toEqual({
      'back up documents': 'success',
      'copy documents to gone': 'failed',
      'apply retention to documents in first': 'success',
    });
    expect(exitCode).toBe(10);
    expect(errors).toMatch(/1 of 3 steps failed/);
    // The next run tries what failed again, and nothing else.
    const again = await runEstate('gone', { ...estate, repositories });
    expect(again.outcomes).toEqual({ 'copy documents to gone': 'failed' });
  });

  test('a removable store that is away is waited for, until it is overdue', async () => {
    const estate = estateWith({ repository: 'disk', 'overdue-after': '1d' });
    const location = place.at('disk');
    const disk = { location, 'password-file': place.at('password'), removable: true };
    const away = { ...estate, repositories: { disk } };
    const first = await runEstate('away', away);
    expect([first.exitCode, first.outcomes]).toEqual([0, { 'back up documents': 'waiting' }]);
    aheadMs = 25 * hourMs;
    const late = await runEstate('away', away);
    expect(late.exitCode).toBe(1);
    expect(late.errors).toMatch(/overdue: back up documents/);
    await place.createRepository(location);
    const back = await runEstate('away', away);
    expect([back.exitCode, back.outcomes]).toEqual([0, { 'back up documents': 'success' }]);
  });

  test('a duty that did not succeed for too long fails a run in which nothing failed', async () => {
    const estate = estateWith({ windows: ['00:00-00:01'], 'overdue-after': '2d' });
    expect((await runEstate('late', estate, ['--all'])).exitCode).toBe(0);
    // At a time of day outside of the window.
    const now = hurried.clock.wallMs();
    aheadMs = Math.ceil(now / dayMs) * dayMs - now + 3 * dayMs + 12 * hourMs;
    const late = await runEstate('late', estate);
    expect([late.exitCode, late.outcomes]).toEqual([1, {}]);
    expect(late.lines.filter((line) => line.message_type === 'overdue')).toEqual([
      expect.objectContaining({ duty: 'back up documents', source: 'documents' }),
    ]);
  });

  test('a snapshot that lacks something is told, exit code 3, and is no success', async () => {
    const estate = estateWith({});
    const paths = [place.at('source'), '/no/such'];
    const lacking = { ...estate, sources: { lacking: { ...documentsOf(estate), paths } } };
    const { exitCode, lines } = await runEstate('lacking', lacking);
    expect(exitCode).toBe(3);
    expect(lines[0]).toMatchObject({ outcome: 'incomplete', num_problems: 1 });
    const state = readdirSync(place.at('state-lacking')).find((name) => name.endsWith('.json'));
    const text = readFileSync(place.at('state-lacking', state ?? ''), 'utf8');
    expect(text).not.toMatch(/lastSuccessMs/);
  });

  test('damage that a verify meets is named, and met again by the next', async () => {
    await place.createRepository(place.at('rotten'));
    const rotten = { location: place.at('rotten'), 'password-variable': 'ESTATE_PASSWORD' };
    const policy = { repository: 'rotten', verify: { within: '1d' } };
    const estate = { ...estateWith(policy), repositories: { rotten } };
    expect((await runEstate('rotten', estate)).exitCode).toBe(0);
    const data = place.at('rotten', 'data');
    const pack = readdirSync(data, { recursive: true, encoding: 'utf8' }).find((name) =>
      /\/[0-9a-f]{64}$/.test(name),
    );
    const file = `${data}/${pack}`;
    const bytes = readFileSync(file);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    chmodSync(file, 0o600);
    writeFileSync(file, bytes);
    for (const day of [1, 2]) {
      aheadMs = day * dayMs;
      const { exitCode, outcomes, lines } = await runEstate('rotten', estate, ['rotten']);
      expect(outcomes['verify rotten']).toBe('failed');
      expect(exitCode).toBe(1);
      const step = lines.find(({ duty }) => duty === 'verify rotten');
      expect(JSON.stringify(step)).toContain(pack?.split('/')[1]);
    }
  });
});

describe('hooks', () => {
  const hooks = {
    note: { command: ['sh', '-c', `echo "$HOLDFAST_WHEN $HOLDFAST_RESULT" >> ${folder}/hooks`] },
    alert: { command: ['sh', '-c', `cat >> ${folder}/alerts`] },
    refuse: { command: ['sh', '-c', 'echo "the database is away" >&2; exit 4'] },
    secret: { command: ['sh', '-c', `env > ${folder}/environment`] },
    hang: { command: ['sh', '-c', 'sleep 300 & sleep 300'], timeout: '1s' },
  };
  const withHooks = (names: object, more: Partial<Estate> = {}): Estate => {
    const estate = estateWith({}, { hooks, ...more });
    const source = { ...documentsOf(estate), hooks: names };
    return { ...estate, sources: { hooked: source } };
  };

  test('run before and after, and hear how it went, without the secrets of the process', async () => {
    const estate = withHooks({ before: ['note', 'secret'], after: ['note'] });
    expect((await runEstate('hooks', estate)).exitCode).toBe(0);
    expect(readFileSync(place.at('hooks'), 'utf8')).toBe('before \nafter success\n');
    const environment = readFileSync(place.at('environment'), 'utf8');
    expect(environment).toMatch(/^HOLDFAST_SOURCE=hooked$/m);
    expect(environment).not.toMatch(/PASSWORD/);
  });

  test('one that fails before keeps the backup from being made; alerts name what failed', async () => {
    const failing = withHooks(
      { before: ['refuse'], 'on-failure': ['alert'] },
      { 'on-failure': ['alert'] },
    );
    const { exitCode, lines } = await runEstate('refuse', failing);
    expect(exitCode).toBe(1);
    expect(lines[0]).toMatchObject({
      outcome: 'failed',
      summary: 'the hook "refuse" failed with exit code 4',
      output: 'refuse:\nthe database is away',
    });
    const alerts = jsonLines(readFileSync(place.at('alerts'), 'utf8'));
    expect(alerts).toMatchObject([
      { source: 'hooked', steps: [{ duty: 'back up hooked', outcome: 'failed' }] },
      { when: 'on-failure', steps: [{ duty: 'back up hooked', outcome: 'failed' }] },
    ]);
  });

  test('one that hangs is ended with all it started', async () => {
    const { lines } = await runEstate('hang', withHooks({ before: ['hang'] }));
    expect(lines[0]?.summary).toBe('the hook "hang" took longer than 1 s');
  });
});

describe('what is typed', () => {
  test('a name that the file does not have, and a file with mistakes', async () => {
    const unknown = await runEstate('typed', estateWith({}), ['documnets']);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.errors).toMatch(/no source or used repository/);
    const wrong = estateWith({ backup: { cron: '0 0 31 2 *' }, verify: { within: '1d' } });
    const { errors } = await runEstate('typed', wrong);
    expect(errors.split('\n')[0]).toMatch(
      /"field":"policies.p.backup.cron","message":"never comes"/,
    );
  });

  test('--dry-run says why, and does nothing', async () => {
    const { lines, exitCode } = await runEstate('dry', estateWith({}), ['--dry-run']);
    expect(exitCode).toBe(0);
    expect(lines).toMatchObject([
      { message_type: 'planned', duty: 'back up documents', state: 'due', would_run: true },
    ]);
    expect(readdirSync(folder)).not.toContain('state-dry');
  });
});

test('as a process: text, a second run at the same time, and an interrupt', async () => {
  const slow = { slow: { command: ['sh', '-c', `echo there > ${folder}/slow; exec sleep 60`] } };
  const estate = estateWith({ repository: 'second' }, { hooks: slow });
  const hooks = { before: ['slow'] };
  const source = { ...documentsOf(estate), hooks };
  const file = place.at('process.yaml');
  writeFileSync(file, formatEstate({ ...estate, sources: { slow: source } }));
  const args = ['run', '-f', file, '--state-dir', place.at('state-process')];
  const first = place.start(args);
  const ended = finished(first);
  await expect.poll(() => readdirSync(folder), { timeout: 20_000 }).toContain('slow');
  const second = await finished(place.start(args));
  expect(second.exitCode).toBe(11);
  expect(second.errors).toMatch(/^Fatal: another run of this estate is under way\nWait for it/);
  first.kill('SIGINT');
  const { exitCode, output, errors } = await ended;
  expect(exitCode).toBe(130);
  expect(output).toMatch(/^back up slow \.\.\.$/m);
  expect(errors).toMatch(/Fatal: the run was interrupted/);
  expect(errors).not.toMatch(/^\s+at /m);
  writeFileSync(file, formatEstate({ ...estate, hooks: {} }));
  const after = await finished(place.start(args));
  expect(after.output).toMatch(/^back up documents: done: snapshot [0-9a-f]{8}: 5 files/m);
  expect([after.exitCode, after.errors]).toEqual([0, '']);
});
