import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Command, type Flag, isGroup } from './command.ts';
import { globalFlags } from './global-flags.ts';
import { commandHelp } from './help.ts';
import { splitArguments } from './parse.ts';
import { loadAllCommands } from './registry.ts';
import { splitShellWords } from '../base/shell-words.ts';

const entries = await loadAllCommands();
const commands: Command[] = entries.flatMap((entry) => (isGroup(entry) ? entry.commands : entry));

describe.each(commands.map((command) => [command.name, command] as const))('%s', (_, command) => {
  const flags = Object.values(command.flags);

  test('has flags of its own names', () => {
    const all: Flag[] = [...Object.values(globalFlags), ...flags];
    const names = all.flatMap(({ name, short }) => (short ? [name, short] : [name]));
    expect(new Set(names).size).toBe(names.length);
    const keys = [...Object.keys(globalFlags), ...Object.keys(command.flags)];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('has examples that it would accept', () => {
    expect(command.examples.length).toBeGreaterThan(0);
    for (const { command: line } of command.examples) {
      const found = /holdfast (?:-\w \S+ )*[^|>)]*/.exec(line)?.[0] ?? '';
      const [, ...words] = splitShellWords(found.replace(/\$\([^)]*\)?/, '1'));
      const table = { ...globalFlags, ...command.flags };
      const { unknown, positionals } = splitArguments(words, table);
      expect(unknown, line).toEqual([]);
      const name = positionals.slice(0, command.name.split(' ').length).map(({ text }) => text);
      expect(name.join(' ')).toBe(command.name);
      const count = positionals.length - name.length;
      expect(count, line).toBeGreaterThanOrEqual(command.arguments.minimum);
      expect(count, line).toBeLessThanOrEqual(command.arguments.maximum);
    }
  });

  test('has help with every part', () => {
    const help = commandHelp(command);
    for (const part of ['Usage:', 'Examples:', 'Exit codes:', 'Global flags:']) {
      expect(help).toContain(part);
    }
    for (const flag of flags) expect(help).toContain(`--${flag.name}`);
    const longest = Math.max(...help.split('\n').map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(120);
  });
});

test('README names every command', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const list = readme.slice(readme.indexOf('## What is there'), readme.indexOf('## Read on'));
  for (const { name } of entries) expect(list).toContain(`\`${name}\``);
});

/** Flags that restic has and this program means to lack. */
const absent: Readonly<Record<string, readonly string[]>> = {
  generate: ['man', 'powershell-completion'],
};

/** A flag as restic's help lists it. */
interface ListedFlag {
  readonly name: string;
  readonly short: string | undefined;
  readonly takesValue: boolean;
}

function resticFlags(words: readonly string[]): ListedFlag[] {
  const { stdout } = spawnSync('restic', ['help', ...words], { encoding: 'utf8' });
  const line = /^ {2}(?:-(\w), | {4})--([a-z-]+)(?: (\S+))? {2,}/;
  return stdout.split('\n').flatMap((text) => {
    const found = line.exec(text);
    if (!found) return [];
    return [{ short: found[1], name: found[2] ?? '', takesValue: found[3] !== undefined }];
  });
}

function isSame(listed: ListedFlag, flag: Flag): boolean {
  const takesValue = flag.kind !== 'boolean' && flag.kind !== 'count';
  return (
    flag.name === listed.name && flag.short === listed.short && takesValue === listed.takesValue
  );
}

const isResticThere = spawnSync('restic', ['version']).status === 0;
const isRequired = process.env['HOLDFAST_TEST_REQUIRE'] !== undefined;

test.runIf(isRequired)('restic is there', () => expect(isResticThere).toBe(true));

describe.skipIf(!isResticThere)('every flag of restic is a flag here', () => {
  const ownNames = [
    'alerts',
    'apply',
    'completion',
    'estate',
    'export',
    'help',
    'immutability',
    'login',
    'move-state',
    'parity',
    'policies',
    'repositories',
    'rescue',
    'run',
    'runs',
    'serve',
    'serve-repository',
    'serve-user',
    'sources',
    'tokens',
    'users',
  ];
  const known = commands.filter(
    ({ name }) =>
      !ownNames.includes(
        name.replace(
          /^(serve-user|estate|runs|tokens|users|policies|repositories|sources) .*/,
          '$1',
        ),
      ),
  );
  test.each(known.map((command) => [command.name, command] as const))('%s', (name, command) => {
    const all = [...Object.values(globalFlags), ...Object.values(command.flags)];
    const listed = resticFlags(name.split(' '));
    expect(listed.length).toBeGreaterThan(20);
    const missing = listed.filter(
      (flag) => !(absent[name] ?? []).includes(flag.name) && !all.some((own) => isSame(flag, own)),
    );
    expect(missing).toEqual([]);
  });
});
