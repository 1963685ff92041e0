import { expect, test } from 'vitest';
import type { Invocation } from './command.ts';
import { command, type RestoreFlags } from './commands/restore.ts';
import { readFlags, splitArguments } from './parse.ts';
import { attributeSelection, pathSelection } from './restore-selection.ts';
import { Variables } from './variables.ts';

function flagsOf(...args: string[]): Invocation<RestoreFlags>['flags'] {
  return readFlags(command.flags, splitArguments(args, command.flags), new Variables({}));
}

/** What is selected of these paths; folders that are only entered stand in brackets. */
function selected(args: string[], paths: string[]): string[] {
  const invocation = { flags: flagsOf(...args), variables: new Variables({}) };
  const select = pathSelection(invocation);
  if (!select) return ['everything'];
  return paths.flatMap((path) => {
    const isFolder = path.endsWith('/');
    const choice = select(Buffer.from(isFolder ? path.slice(0, -1) : path), isFolder);
    if (choice.selected) return [path];
    return choice.mayHoldSelected ? [`(${path})`] : [];
  });
}

const paths = [
  '/home/',
  '/home/anna/',
  '/home/anna/a.txt',
  '/home/anna/B.TXT',
  '/home/anna/c/',
  '/etc/',
];

test('includes select what matches and open the way to it', () => {
  expect(selected(['-i', '/home/anna/a.txt'], paths)).toEqual([
    '(/home/)',
    '(/home/anna/)',
    '/home/anna/a.txt',
  ]);
  expect(selected(['--iinclude', '/home/*/*.txt'], paths)).toContain('/home/anna/B.TXT');
  expect(selected(['-i', 'anna'], paths)).toEqual(['(/home/)', ...paths.slice(1, 5), '(/etc/)']);
});

test('excludes leave out what matches with all below', () => {
  expect(selected(['-e', 'anna'], paths)).toEqual(['/home/', '/etc/']);
  expect(selected(['-e', '*.txt', '--iexclude', 'b.*'], paths)).toEqual([
    '/home/',
    '/home/anna/',
    '/home/anna/c/',
    '/etc/',
  ]);
  expect(selected(['-e', '*.txt', '-e', '!a.txt'], paths)).toContain('/home/anna/a.txt');
});

test('without patterns everything is selected, with both kinds nothing is right', () => {
  expect(selected([], paths)).toEqual(['everything']);
  expect(() => selected(['-i', 'a', '--iexclude', 'b'], paths)).toThrow(/mutually exclusive/);
  expect(() => selected(['-i', '[a'], paths)).toThrow();
});

function choose(...args: string[]): boolean[] | undefined {
  const select = attributeSelection(flagsOf(...args));
  return select && ['user.note', 'security.selinux'].map((name) => select(name));
}

test('extended attributes are chosen by patterns', () => {
  expect(choose()).toBeUndefined();
  expect(choose('--include-xattr', 'user.*')).toEqual([true, false]);
  expect(choose('--exclude-xattr', 'user.*')).toEqual([false, true]);
  expect(() => choose('--include-xattr', 'a', '--exclude-xattr', 'b')).toThrow(/together/);
});
