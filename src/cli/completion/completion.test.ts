import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { Shells } from './completion-test-support.ts';
import { completionScript, type Shell } from './script.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-completion-'));
const shells = new Shells(folder);
const cwd = join(folder, 'cwd');

beforeAll(async () => {
  mkdirSync(join(cwd, 'source'), { recursive: true });
  for (const shell of ['bash', 'zsh', 'fish'] as const) await shells.prepare(shell);
});
afterAll(() => rmSync(folder, { recursive: true }));

const keyCommands = ['add', 'kit', 'list', 'passwd', 'remove'];
/** What is offered for the last word. */
const offers: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['sna'], ['snapshots']],
  [['key', ''], keyCommands],
  [['key', 'pas'], ['passwd']],
  [
    ['key', 'add', '--new'],
    ['--new-insecure-no-password', '--new-password-file'],
  ],
  [['-r', '/backup', 'back'], ['backup']],
  [['snapshots', '--la'], ['--latest']],
  [['--compression', 'f'], ['fastest']],
  [
    ['restore', '--overwrite', 'if'],
    ['if-changed', 'if-newer'],
  ],
  [['restore', 'latest', '--target', 'so'], ['source']],
  [['cat', 'in'], ['index']],
  [['help', 'unl'], ['unlock']],
  [['help', 'key', ''], keyCommands],
  [['help', 'key', 'pa'], ['passwd']],
  [['help', 'backup', ''], []],
  [['repair', 'pa'], ['packs']],
  [['backup', '--tag', 'x', '--exclude-l'], ['--exclude-larger-than']],
  [['backup', '--tag', ''], []],
  [['backup', 'so'], ['source']],
];

const isBashThere = spawnSync('bash', ['--version']).status === 0;

test.skipIf(!isBashThere)('bash completes', () => expectOffers('bash'));

describeWith(['zsh'], 'zsh', () => {
  test('can read its script', () => expectReadable('zsh'));

  test('completes as bash does', () => expectOffers('zsh'));
});

describeWith(['fish'], 'fish', () => {
  test('can read its script', () => expectReadable('fish'));

  test('completes as bash does', () => expectOffers('fish'));
});

test('bash can read its script', () => expectReadable('bash'));

function expectOffers(shell: Shell): void {
  const lines = offers.map(([words]) => words);
  const found = shells.offered(shell, lines, cwd);
  expect(lines.map((words, i) => [words, found[i]])).toEqual(offers);
}

async function expectReadable(shell: Shell): Promise<void> {
  const script = await shells.prepare(shell);
  const { status, error, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
  expect(error).toBeUndefined();
  expect(stderr).toBe('');
  expect(status).toBe(0);
}

test('descriptions with quotes and colons survive', async () => {
  const fish = await completionScript('fish');
  for (const line of fish.split('\n')) {
    const quotes = line.replace(/\\['\\]/g, '').match(/'/g)?.length ?? 0;
    expect(quotes % 2, line).toBe(0);
  }
});
