import type { Command, CommandGroup } from '../command.ts';
import { type EstateFileFlags, estateFileFlags } from '../estate-flags.ts';

const check: Command<EstateFileFlags> = {
  name: 'estate check',
  summary: 'Look whether an estate file is right, and say what it means',
  description: `
Names everything that is wrong with an estate file, each with its line and field. Of a file that is right it says in plain
sentences what each policy means, and when each of its sources is backed up the next five times. Opens no repository and reads no
secret.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: estateFileFlags,
  examples: [
    { text: 'what a file means', command: 'holdfast estate check -f /etc/holdfast/estate.yaml' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/estate.ts')).estateCheck(invocation),
};

const schema: Command = {
  name: 'estate schema',
  summary: 'Print the JSON schema of estate files',
  description:
    'Prints the JSON schema of estate files, with which editors complete and check them.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: {},
  examples: [{ text: 'for an editor', command: 'holdfast estate schema > estate.schema.json' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/estate.ts')).estateSchema(invocation),
};

const exampleFlags = {
  preset: {
    kind: 'choice',
    name: 'preset',
    placeholder: 'name',
    choices: ['gold', 'silver', 'bronze'],
    description: 'the policy to begin with, one of (gold|silver|bronze)',
    defaultText: 'silver',
  },
} as const;

/** Flags of `holdfast estate example`. */
export type EstateExampleFlags = typeof exampleFlags;

const example: Command<EstateExampleFlags> = {
  name: 'estate example',
  summary: 'Print an estate file to begin with',
  description: `
Prints an estate file with one source and one of three policies: gold (each hour, two places), silver (each night) or bronze (each
week). Change its paths, and look at it with "holdfast estate check".`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: exampleFlags,
  examples: [{ text: 'a file to begin with', command: 'holdfast estate example > estate.yaml' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/estate.ts')).estateExample(invocation),
};

/** The commands of `holdfast estate`. */
export const command: CommandGroup = {
  name: 'estate',
  summary: 'Look at estate files: what "holdfast run" does',
  description: `
An estate file says what is protected, where to, and what must be true of it. "holdfast run" does what it says.`,
  commands: [check, example, schema],
  examples: [
    { text: 'a file to begin with', command: 'holdfast estate example > estate.yaml' },
    { text: 'what a file means', command: 'holdfast estate check -f estate.yaml' },
  ],
};
