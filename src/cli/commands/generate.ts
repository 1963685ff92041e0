import { utf8 } from '../../base/bytes.ts';
import type { Command } from '../command.ts';
import { usage } from '../parse.ts';

/** Flags of `holdfast generate`, besides the global ones. */
export const flags = {
  bash: {
    kind: 'text',
    name: 'bash-completion',
    placeholder: 'file',
    description: "write the completion script for bash ('-' for standard output)",
  },
  fish: {
    kind: 'text',
    name: 'fish-completion',
    placeholder: 'file',
    description: "write the completion script for fish ('-' for standard output)",
  },
  zsh: {
    kind: 'text',
    name: 'zsh-completion',
    placeholder: 'file',
    description: "write the completion script for zsh ('-' for standard output)",
  },
} as const;

type GenerateFlags = typeof flags;

/** `holdfast generate`; needs no repository. */
export const command: Command<GenerateFlags> = {
  name: 'generate',
  summary: 'Generate auto-completion files (bash, fish, zsh)',
  description: 'Writes completion scripts to files. "holdfast completion" prints them.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    {
      text: 'for bash',
      command: 'holdfast generate --bash-completion /etc/bash_completion.d/holdfast',
    },
  ],
  exitCodes: [0, 1],
  async run({ flags: files, output }) {
    const { completionScript } = await import('../completion/script.ts');
    let count = 0;
    for (const shell of ['bash', 'fish', 'zsh'] as const) {
      const file = files[shell];
      if (file === undefined) continue;
      count++;
      const script = await completionScript(shell);
      if (file === '-') output.stdout.write(script);
      else {
        const { writeOutputFile } = await import('../files.ts');
        writeOutputFile(file, utf8(script));
        output.info(`writing ${shell} completion file to ${file}`);
      }
    }
    if (count === 0) throw usage('nothing to write', 'Name a file, see "holdfast help generate".');
    return 0;
  },
};
