import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { eachDatabase } from '../../test/tools/databases.ts';
import { describeWith } from '../../test/tools/peers.ts';
import { startPostgres } from '../../test/tools/postgres.ts';
import { program } from '../../test/tools/program.ts';
import { mustRestic } from '../../test/tools/restic.ts';
import { compiledOnce } from '../../test/tools/run-program.ts';
import { scratchFolder } from '../../test/tools/scratch.ts';
import { slowMachine } from '../../test/tools/slow-machine.ts';
import { cancelMsMax } from '../agent/run-child.ts';
import { systemEnvironment } from '../base/environment.ts';
import type { RunView } from '../contracts/views.ts';
import { Asker } from './http/http-test-support.ts';
import { State, type StateLocation } from './state/state.ts';

/** The program itself as a server: from its link to what is restored, killed, stopped and started again. */

const scratch = scratchFolder('serve');
const password = 'a repository password';
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Server {
  readonly child: ChildProcess;
  readonly asker: Asker;
  readonly setUpUrl: string | undefined;
  /** When it was started. */
  readonly startedAt: string;
  /** Ends it as a service manager does. @returns its exit code */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

async function start(folder: string, location?: StateLocation): Promise<Server> {
  const database = location?.kind === 'postgres' ? ['--database', location.url] : [];
  const args = ['serve', '--json', '--listen', '127.0.0.1:0', '--data', folder, ...database];
  const startedAt = new Date(systemEnvironment.clock.wallMs()).toISOString();
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...compiledOnce, PATH: process.env['PATH'], HOME: folder, ...slowMachine },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const errors: string[] = [];
  child.stderr.on('data', (part: Buffer) => errors.push(part.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (part: Buffer) => resolve(part.toString()));
    child.once('close', () => reject(new Error(`it did not start: ${errors.join('')}`)));
  });
  const { url, set_up_url: setUpUrl } = JSON.parse(line) as { url: string; set_up_url?: string };
  return {
    child,
    asker: new Asker(url),
    setUpUrl,
    startedAt,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Adds a repository, a policy and a source. */
async function protect(asker: Asker, source: string, more: object = {}): Promise<string> {
  const location = scratch.fresh('repository');
  const entry = { location, ...more };
  const repository = { name: 'main', entry, password, create: true };
  await asker.must('POST /api/v1/repositories', repository);
  const policy = { repository: 'main', 'time-zone': 'UTC', backup: { every: '30d' } };
  await asker.must('POST /api/v1/policies', { name: 'p', entry: policy });
  const files = { kind: 'files', paths: [source], policy: 'p' };
  await asker.must('POST /api/v1/sources', { name: 'documents', entry: files });
  return location;
}

/** Follows a run to its end. @returns it, and the kinds of events that were told */
async function follow(asker: Asker, id: string): Promise<{ run: RunView; events: Set<string> }> {
  const { text } = await asker.ask(`GET /api/v1/runs/${id}/events`);
  const events = text
    .split('\n\n')
    .map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: /^data: (.*)$/m.exec(block)?.[1] ?? '',
    }))
    .filter(({ event }) => event !== '');
  const last = events.findLast(({ event }) => event === 'run');
  return {
    run: JSON.parse(last?.data ?? 'null'),
    events: new Set(events.map(({ event }) => event)),
  };
}

async function runs(asker: Asker, query = ''): Promise<RunView[]> {
  const { items } = await asker.must<{ items: RunView[] }>(`GET /api/v1/runs${query}`);
  return items;
}

/** Waits until something is so. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await systemEnvironment.clock.sleep(50);
  }
}

/** The process that carries a run out: it is there a moment after the run counts as running. */
function workerOf({ child }: Pick<Awaited<ReturnType<typeof start>>, 'child'>): Promise<string> {
  return until(async () => childrenOf(child.pid ?? 0)[0]);
}

function runOf(asker: Asker, state: string): Promise<RunView> {
  return until(async () => (await runs(asker, `?state=${state}`))[0]);
}

eachDatabase(scratch, (newDatabase) => {
  test('from the link to what is restored', async () => {
    const folder = scratch.fresh('data');
    const location = await newDatabase();
    const server = await start(folder, location);
    const { asker } = server;
    await asker.setUp(server.setUpUrl ?? '');
    const source = scratch.fresh('source');
    mkdirSync(source);
    writeFileSync(path.join(source, 'letter'), 'dear anna');
    const repository = await protect(asker, source);
    const [first] = await until(async () => {
      const all = await runs(asker);
      return all.length > 0 ? all : undefined;
    });
    const { run } = await follow(asker, first?.id ?? '');
    expect(run).toMatchObject({ state: 'ended', outcome: 'success', reason: 'schedule' });
    writeFileSync(path.join(source, 'letter'), 'dear anna!');
    const asked = await asker.must<RunView>('POST /api/v1/runs', { duty: run.duty });
    const second = await follow(asker, asked.id);
    expect(second.run).toMatchObject({ outcome: 'success', reason: 'person' });
    const snapshots = await asker.must<{ items: { id: string; files: number }[] }>(
      'GET /api/v1/repositories/main/snapshots?source=documents',
    );
    expect(snapshots.items.map(({ id }) => id)).toEqual([
      second.run['snapshot-id'],
      run['snapshot-id'],
    ]);
    expect(snapshots.items[0]?.files).toBe(1);
    const target = scratch.fresh('restored');
    const request = { snapshot: run['snapshot-id'], path: source, target };
    const restores = 'POST /api/v1/repositories/main/restores';
    const restore = await asker.must<RunView>(restores, request);
    const restored = await follow(asker, restore.id);
    expect(restored.run).toMatchObject({ kind: 'restore', outcome: 'success' });
    expect(readdirSync(target)).toEqual(['letter']);
    expect(readFileSync(path.join(target, 'letter'), 'utf8')).toBe('dear anna');
    // It replaces nothing.
    const again = await asker.must<RunView>(restores, request);
    expect((await follow(asker, again.id)).run).toMatchObject({
      outcome: 'failed',
      'error-code': 'STATE_CONFLICT',
    });
    expect(await mustRestic(repository, ['check', '--read-data'], { password })).toMatch(
      /no errors/,
    );
    expect(await server.stop()).toBe(0);
    const later = await start(folder, location);
    expect(later.setUpUrl).toBeUndefined();
    later.asker.token = asker.token;
    expect(await runs(later.asker)).toHaveLength(4);
    expect(await later.stop()).toBe(0);
  });

  test('after it was killed no run stays under way, and what it did is done again', async () => {
    const folder = scratch.fresh('data');
    const location = await newDatabase();
    const killed = await start(folder, location);
    await killed.asker.setUp(killed.setUpUrl ?? '');
    const source = scratch.fresh('source');
    mkdirSync(source);
    writeFileSync(path.join(source, 'much'), randomBytes(400_000));
    await protect(killed.asker, source, { 'limit-upload': '20' });
    const first = await runOf(killed.asker, 'running');
    const worker = await workerOf(killed);
    // Other users of the machine can see arguments, and whoever is the same user the environment.
    for (const pid of [killed.child.pid ?? 0, Number(worker)]) {
      for (const name of ['cmdline', 'environ']) {
        expect(readFileSync(`/proc/${pid}/${name}`, 'latin1')).not.toContain(password);
      }
    }
    process.kill(Number(worker), 'SIGKILL');
    expect((await follow(killed.asker, first.id)).run).toMatchObject({
      outcome: 'failed',
      'error-code': 'WORKER_FAILED',
    });
    const { id } = await killed.asker.must<RunView>('POST /api/v1/runs', { duty: first.duty });
    await runOf(killed.asker, 'running');
    await killed.kill();
    await endLeases(location);
    const server = await start(folder, location);
    server.asker.token = killed.asker.token;
    const run = await until(async () => {
      const now = await server.asker.must<RunView>(`GET /api/v1/runs/${id}`);
      return now.state === 'ended' ? now : undefined;
    });
    expect(run).toMatchObject({ outcome: 'interrupted', 'error-code': 'RUN_INTERRUPTED' });
    // It would be carried out again in ten seconds: to ask for it is sooner.
    const asked = await server.asker.must<RunView>('POST /api/v1/runs', { duty: run.duty });
    expect((await runOf(server.asker, 'running')).id).toBe(asked.id);
    await workerOf(server);
    const children = childrenOf(server.child.pid ?? 0);
    expect(children).toHaveLength(1);
    const { token, id: tokenId } = await server.asker.must<{ token: string; id: string }>(
      'POST /api/v1/tokens',
      { label: 'follows', scopes: ['read'] },
    );
    const follower = await new Asker(server.asker.url, token).open(
      `/api/v1/runs/${asked.id}/events`,
    );
    await server.asker.must(`DELETE /api/v1/tokens/${tokenId}`);
    // One that cannot end in order is killed: both within the five seconds that are promised.
    expect(cancelMsMax).toBeLessThan(5000);
    if (location.kind === 'sqlite') process.kill(Number(children[0]), 'SIGSTOP');
    await server.asker.must(`POST /api/v1/runs/${asked.id}/cancel`);
    const ended = await follow(server.asker, asked.id);
    expect(ended.run).toMatchObject({ outcome: 'cancelled', 'cancelled-by': expect.any(String) });
    const heard = await follower.text();
    expect(heard).toContain('event: failed');
    expect(heard).not.toContain('cancelled-by');
    await until(async () => (childrenOf(server.child.pid ?? 0).length === 0 ? true : undefined));
    expect(await server.stop()).toBe(0);
  });
});

test('killed at whatever moment, it leaves nothing under way and a sound repository', async () => {
  const folder = scratch.fresh('data');
  const source = scratch.fresh('source');
  mkdirSync(source);
  let server = await start(folder);
  await server.asker.setUp(server.setUpUrl ?? '');
  const { token } = server.asker;
  const repository = await protect(server.asker, source);
  for (const delayMs of [0, 150, 350, 600]) {
    writeFileSync(path.join(source, `file-${delayMs}`), randomBytes(3_000_000));
    // One may wait still, of before the server was killed.
    await server.asker.ask('POST /api/v1/runs', { duty: 'back up documents' });
    await systemEnvironment.clock.sleep(delayMs);
    await server.kill();
    server = await start(folder);
    server.asker.token = token;
    const isLeft = (await runs(server.asker, '?state=running')).some(
      ({ started = '' }) => server.startedAt > started,
    );
    expect(isLeft).toBe(false);
  }
  await until(async () => {
    const all = await runs(server.asker);
    return all.every(({ state }) => state === 'ended') ? all : undefined;
  });
  const last = await server.asker.must<RunView>('POST /api/v1/runs', { duty: 'back up documents' });
  expect((await follow(server.asker, last.id)).run.outcome).toBe('success');
  const all = await runs(server.asker, '?limit=200');
  expect(all.map(({ state, outcome }) => `${state} ${outcome}`)).toEqual(
    all.map(() => expect.stringMatching(/^ended (success|interrupted|superseded)$/)),
  );
  expect(await server.asker.must('GET /api/v1/audit/check')).toEqual({ intact: true });
  expect(await server.stop()).toBe(0);
  expect(await mustRestic(repository, ['check', '--read-data'], { password })).toMatch(/no errors/);
});

describeWith(['postgres'], 'a database that goes away', () => {
  test('is told, and what runs meanwhile ends as it should when it is back', async () => {
    const postgres = await startPostgres(scratch.fresh('postgres'));
    try {
      await postgres.createDatabase('away');
      const location = { kind: 'postgres', url: postgres.url('away') } as const;
      const server = await start(scratch.fresh('data'), location);
      await server.asker.setUp(server.setUpUrl ?? '');
      const source = scratch.fresh('source');
      mkdirSync(source);
      writeFileSync(path.join(source, 'much'), randomBytes(60_000));
      await protect(server.asker, source, { 'limit-upload': '20' });
      const { id } = await runOf(server.asker, 'running');
      await workerOf(server);
      await postgres.stop();
      const health = await server.asker.ask('GET /healthz');
      expect([health.status, health.body['code']]).toEqual([503, 'STATE_FAILED']);
      expect((await server.asker.ask('GET /api/v1/runs')).status).toBe(503);
      expect(childrenOf(server.child.pid ?? 0)).toHaveLength(1);
      await until(async () => (childrenOf(server.child.pid ?? 0).length === 0 ? true : undefined));
      await postgres.start();
      const run = await until(async () => {
        const answer = await server.asker.ask<RunView>(`GET /api/v1/runs/${id}`);
        return answer.body.state === 'ended' ? answer.body : undefined;
      });
      expect(run.outcome).toBe('success');
      expect(await server.stop()).toBe(0);
    } finally {
      await postgres.stop();
    }
  });
});

/** On PostgreSQL others may be there, and the lease of the killed server runs out by itself, half a minute later: here at once. */
async function endLeases(location: StateLocation): Promise<void> {
  if (location.kind === 'sqlite') return;
  const state = await State.open(location, systemEnvironment);
  await state.db.updateTable('leases').set({ expires_ms: 0 }).execute();
  await state.close();
}

/** Processes that a process started. */
function childrenOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter((child) => child.trim() !== '');
}

test('a folder is one server’s', async () => {
  const folder = scratch.fresh('data');
  const server = await start(folder);
  await expect(start(folder)).rejects.toThrow(/another server uses the folder/);
  expect(await server.stop()).toBe(0);
});

test('it listens on this machine alone', async () => {
  const args = ['serve', '--listen', '0.0.0.0:0', '--data', scratch.fresh('data')];
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...compiledOnce, PATH: process.env['PATH'], HOME: scratch.path },
  });
  children.push(child);
  const errors: string[] = [];
  child.stderr.on('data', (part: Buffer) => errors.push(part.toString()));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
  expect(errors.join('')).toMatch(/is no address of this machine alone/);
});
