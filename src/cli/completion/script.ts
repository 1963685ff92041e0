import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { type CompletionModel, completionModel } from './model.ts';
import { zshCompletion } from './zsh.ts';

/** Shells that have a completion script. */
export type Shell = 'bash' | 'zsh' | 'fish';

const writers: Readonly<Record<Shell, (model: CompletionModel) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** True for the name of a shell that `completionScript` has a script for. */
export function isShell(name: string): name is Shell {
  return Object.hasOwn(writers, name);
}

/** The completion script of one shell. */
export async function completionScript(shell: Shell): Promise<string> {
  return writers[shell](await completionModel());
}
