import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { completionModel } from './model.ts';
import { zshCompletion } from './zsh.ts';

const writers = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Shells that have a completion script. */
export type Shell = keyof typeof writers;

export function isShell(name: string): name is Shell {
  return Object.hasOwn(writers, name);
}

/** The completion script of one shell. */
export async function completionScript(shell: Shell): Promise<string> {
  return writers[shell](await completionModel());
}
