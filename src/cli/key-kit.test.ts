import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cheapKeyed } from '../../test/tools/engine.ts';
import type { Input } from './command.ts';
import { password, TestPlace } from './holdfast-test-support.ts';
import { Output, type Sink } from './output.ts';
import { runProgram } from './program.ts';
import { Variables } from './variables.ts';

const place = TestPlace.create();

beforeAll(async () => {
  await place.createRepository();
});
afterAll(() => place.remove());

interface Ran {
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs `key kit` with a person at the terminal, who answers a question with the page in hand. */
async function kit(
  file: string,
  answer: (page: string, groups: readonly number[]) => string | undefined,
  ...more: string[]
): Promise<Ran> {
  const said = { output: '', errors: '' };
  const sink = (name: 'output' | 'errors'): Sink => {
    const write = (text: string | Uint8Array): void => {
      said[name] += Buffer.from(text).toString('utf8');
    };
    return { isTerminal: true, columns: 80, write, writeAll: async (bytes) => write(bytes) };
  };
  const input: Input = {
    isTerminal: true,
    readLine: async () => {
      const asked = /groups (\d) and (\d)/.exec(
        said.errors.slice(said.errors.lastIndexOf('groups')),
      );
      const groups = [Number(asked?.[1]), Number(asked?.[2])];
      const line = answer(readFileSync(file, 'utf8'), groups);
      return line === undefined ? undefined : Buffer.from(line);
    },
    readHidden: async () => undefined,
    readable: () => new PassThrough(),
  };
  const exitCode = await runProgram({
    args: ['key', 'kit', file, '--no-cache', ...more],
    variables: new Variables({
      RESTIC_REPOSITORY: place.repository,
      RESTIC_PASSWORD: password,
    }),
    environment: cheapKeyed(),
    output: new Output({ stdout: sink('output'), stderr: sink('errors') }),
    input,
    signal: new AbortController().signal,
  });
  return { exitCode, ...said };
}

function keys(): string[] {
  return readdirSync(place.at('repository', 'keys')).toSorted();
}

function passwordOn(page: string): string {
  return /(?:[a-z2-9]{5}-){5}[a-z2-9]{5}/.exec(page)?.[0] ?? '';
}

function typedRight(page: string, groups: readonly number[]): string {
  const parts = passwordOn(page).split('-');
  return groups.map((group) => parts[group - 1]).join(' ');
}

test('a page whose password was typed back opens the repository', async () => {
  const file = place.at('kits', 'kit.html');
  const { exitCode, output } = await kit(file, typedRight);
  expect(exitCode).toBe(0);
  expect(output).toMatch(/saved new key with ID [0-9a-f]{64}/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const page = readFileSync(file, 'utf8');
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).toContain(place.repository);
  const given = { variables: { RESTIC_PASSWORD: passwordOn(page) } };
  const listed = JSON.parse(await place.must(['key', 'list', '--json'], given)) as object[];
  expect(listed).toContainEqual(
    expect.objectContaining({ current: true, userName: 'recovery-kit' }),
  );
});

test('a page that nobody can read from leaves neither key nor file', async () => {
  const before = keys();
  const file = place.at('kit.txt');
  for (const answer of [() => 'wrong', () => undefined]) {
    const { exitCode, errors } = await kit(file, answer);
    expect(exitCode).toBe(1);
    expect(errors).toMatch(/was not proven: its key and its page were removed again/);
    expect(existsSync(file)).toBe(false);
    expect(keys()).toEqual(before);
  }
  let asked = 0;
  const third = await kit(file, (page, groups) => (++asked < 3 ? 'x' : typedRight(page, groups)));
  expect(third.exitCode).toBe(0);
});

test('what cannot be is refused before anything is made', async () => {
  const before = keys();
  writeFileSync(place.at('there.txt'), 'mine');
  const cases: readonly (readonly [string, RegExp, ...string[]])[] = [
    [place.at('there.txt'), /exists already/],
    [place.at('kit.pdf'), /does not say what to write/],
    [place.at('repository', 'kit.txt'), /would lie in the repository/],
    [place.at('kit'), /--format/],
  ];
  for (const [file, message, ...more] of cases) {
    const { exitCode, errors } = await kit(file, typedRight, ...more);
    expect(exitCode).toBe(1);
    expect(errors).toMatch(message);
  }
  expect(readFileSync(place.at('there.txt'), 'utf8')).toBe('mine');
  expect(keys()).toEqual(before);
});

test('without a terminal it needs --unproven, and says what that means', async () => {
  const refused = await place.run(['key', 'kit', place.at('script.txt')]);
  expect(refused).toMatchObject({ exitCode: 1, output: '' });
  expect(refused.errors).toMatch(/nobody is there to type back/);
  const done = await place.must([
    'key',
    'kit',
    place.at('script'),
    '--unproven',
    '--format',
    'text',
  ]);
  expect(done).toMatch(/nobody has shown that the page was printed or kept/);
  const page = readFileSync(place.at('script'), 'utf8');
  expect(page).toMatch(/^HOLDFAST RECOVERY KIT/);
  await place.must(['snapshots'], { variables: { RESTIC_PASSWORD: passwordOn(page) } });
});
