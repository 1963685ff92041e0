import { describe, expect, test } from 'vitest';
import { isHoldfastError } from '../base/errors.ts';
import { readFlags, refuseUnknown, splitArguments } from './parse.ts';
import { Variables } from './variables.ts';

const table = {
  repository: {
    kind: 'text',
    name: 'repo',
    short: 'r',
    placeholder: 'r',
    variable: 'REPOSITORY',
    description: '',
  },
  verbose: { kind: 'count', name: 'verbose', short: 'v', description: '' },
  force: { kind: 'boolean', name: 'force', short: 'f', variable: 'FORCE', description: '' },
  tags: { kind: 'texts', name: 'tag', placeholder: 't', variable: 'TAG', description: '' },
  size: {
    kind: 'integer',
    name: 'size',
    placeholder: 'n',
    minimum: 1,
    maximum: 9,
    variable: 'SIZE',
    description: '',
  },
} as const;

function read(args: string[], variables: Record<string, string> = {}) {
  const parsed = splitArguments(args, table);
  refuseUnknown(parsed, table);
  const flags = readFlags(table, parsed, new Variables(variables));
  return { ...flags, rest: parsed.positionals.map(({ text }) => text) };
}

function refusal(args: string[], variables: Record<string, string> = {}): string {
  try {
    read(args, variables);
  } catch (error) {
    if (isHoldfastError(error, 'USAGE'))
      return [error.message, error.hint].filter(Boolean).join(' / ');
    throw error;
  }
  return 'accepted';
}

describe('flags', () => {
  test.each([
    [['--repo', 'x'], 'x'],
    [['--repo=x'], 'x'],
    [['-r', 'x'], 'x'],
    [['-rx'], 'x'],
    [['-r=x'], 'x'],
    [['-vr', 'x'], 'x'],
    [['--repo=a', '--repo', 'b'], 'b'],
    [['--repo', '-x'], '-x'],
    [['--repo='], ''],
  ])('%j', (args, value) => expect(read(args).repository).toBe(value));

  test('count, combine and repeat', () => {
    expect(read(['-vv', '-fv']).verbose).toBe(3);
    expect(read(['--verbose=2']).verbose).toBe(2);
    expect(read(['-vf']).force).toBe(true);
    expect(read(['--force=false']).force).toBe(false);
    expect(read(['--tag', 'a,b', '--tag', '']).tags).toEqual(['a,b', '']);
  });

  test('stand anywhere, up to --', () => {
    const { rest, force } = read(['a', '-f', '-', 'b', '--', '-f', '--repo']);
    expect(rest).toEqual(['a', '-', 'b', '-f', '--repo']);
    expect(force).toBe(true);
  });

  test('have defaults from the environment, HOLDFAST before RESTIC', () => {
    const variables = {
      RESTIC_REPOSITORY: 'r',
      HOLDFAST_SIZE: '3',
      RESTIC_SIZE: '4',
      RESTIC_FORCE: 'true',
    };
    expect(read([], variables)).toMatchObject({
      repository: 'r',
      size: 3,
      force: true,
      verbose: 0,
    });
    expect(read(['--size', '5', '--force=0'], variables)).toMatchObject({ size: 5, force: false });
    expect(read([], { RESTIC_SIZE: '' }).size).toBeUndefined();
  });
});

test('mistakes are told in one line with what was meant', () => {
  expect({
    unknown: refusal(['--rpeo', 'x']),
    unknownShort: refusal(['-R', 'x']),
    noValue: refusal(['--repo']),
    noShortValue: refusal(['-fr']),
    notInRange: refusal(['--size', '10']),
    notNumber: refusal(['--size=x']),
    notBoolean: refusal(['--force=maybe']),
    variable: refusal([], { RESTIC_SIZE: 'many' }),
    variableBoolean: refusal([], { HOLDFAST_FORCE: 'maybe' }),
    secret: refusal(['--pasword=hunter2']),
  }).toMatchInlineSnapshot(`
    {
      "noShortValue": "flag needs an argument: -r",
      "noValue": "flag needs an argument: --repo",
      "notBoolean": "invalid argument "maybe" for "-f, --force": must be true or false",
      "notInRange": "invalid argument "10" for "--size": must be between 1 and 9",
      "notNumber": "invalid argument "x" for "--size": must be a whole number",
      "secret": "unknown flag: --pasword",
      "unknown": "unknown flag: --rpeo / Did you mean --repo?",
      "unknownShort": "unknown flag: -R / Did you mean -r (--repo)?",
      "variable": "invalid value for RESTIC_SIZE "many": must be a whole number",
      "variableBoolean": "invalid value for HOLDFAST_FORCE "maybe": must be true or false",
    }
  `);
});
