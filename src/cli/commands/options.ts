import type { Command } from '../command.ts';

/** `holdfast options`; needs no repository. */
export const command: Command = {
  name: 'options',
  summary: 'Print list of extended options',
  description: 'Prints all options that can be given with -o KEY=VALUE.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: {},
  examples: [{ text: 'list them, to be used as -o KEY=VALUE', command: 'holdfast options' }],
  exitCodes: [0, 1],
  async run({ output }) {
    const { listExtendedOptions } = await import('../../storage/open.ts');
    const extendedOptions = await listExtendedOptions();
    const width = Math.max(...extendedOptions.map(({ name }) => name.length));
    output.line('All Extended Options:');
    for (const { name, description } of extendedOptions) {
      output.line(`  ${name.padEnd(width)}  ${description}`);
    }
    return 0;
  },
};
