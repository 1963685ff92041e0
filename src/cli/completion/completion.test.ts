import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { completionScript } from './script.ts';

const bash = await completionScript('bash');

/** What bash would offer for the last of these words. */
function offered(...words: string[]): string[] {
  const script = `${bash}
    COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#
    _holdfast 2>/dev/null
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '');
}

const isBashThere = spawnSync('bash', ['--version']).status === 0;

test.skipIf(!isBashThere).each([
  [['sna'], ['snapshots']],
  [
    ['key', ''],
    ['add', 'kit', 'list', 'passwd', 'remove'],
  ],
  [['key', 'pas'], ['passwd']],
  [['-r', '/backup', 'back'], ['backup']],
  [['snapshots', '--la'], ['--latest']],
  [['--compression', 'f'], ['fastest']],
  [
    ['restore', '--overwrite', 'if'],
    ['if-changed', 'if-newer'],
  ],
  [['cat', 'in'], ['index']],
  [['help', 'unl'], ['unlock']],
  [
    ['help', 'key', ''],
    ['add', 'kit', 'list', 'passwd', 'remove'],
  ],
  [['help', 'key', 'pa'], ['passwd']],
  [['help', 'backup', ''], []],
  [['backup', '--tag', 'x', '--exclude-l'], ['--exclude-larger-than']],
  [['backup', '--tag', ''], []],
])('bash completes %j', (words, expected) => {
  expect(offered(...words).toSorted()).toEqual(expected);
});

describeWith(['zsh'], 'zsh', () => {
  test('can read its script', () => expectReadable('zsh'));
});

describeWith(['fish'], 'fish', () => {
  test('can read its script', () => expectReadable('fish'));
});

test('bash can read its script', () => expectReadable('bash'));

async function expectReadable(shell: 'bash' | 'zsh' | 'fish'): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-completion-'));
  const script = join(folder, `holdfast.${shell}`);
  writeFileSync(script, await completionScript(shell));
  const { status, error, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
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
