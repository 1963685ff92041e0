import type { Command } from '../command.ts';
import { usage } from '../parse.ts';

/** `holdfast completion`; needs no repository. */
export const command: Command = {
  name: 'completion',
  summary: 'Print a completion script for bash, zsh or fish',
  description:
    'Prints a script that lets the shell complete commands and flags. It needs nothing but the shell.',
  arguments: {
    usage: 'bash|zsh|fish',
    minimum: 1,
    maximum: 1,
    complete: ['bash', 'zsh', 'fish'],
  },
  flags: {},
  examples: [
    { text: 'for this bash', command: 'source <(holdfast completion bash)' },
    {
      text: 'for every zsh',
      command: 'holdfast completion zsh > /usr/local/share/zsh/site-functions/_holdfast',
    },
    {
      text: 'for every fish',
      command: 'holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
    },
  ],
  exitCodes: [0, 1],
  async run({ arguments: [shell], output }) {
    const { completionScript, isShell } = await import('../completion/script.ts');
    if (shell === undefined || !isShell(shell)) {
      throw usage(
        `no completion for ${JSON.stringify(shell)}`,
        'There is one for bash, zsh and fish.',
      );
    }
    output.stdout.write(await completionScript(shell));
    return 0;
  },
};
