import { HoldfastError } from '../base/errors.ts';
import { splitShellWords } from '../base/shell-words.ts';
import { runPasswordCommand } from '../session/password-command.ts';
import { readSmallFile } from '../session/small-file.ts';
import { decodeText, trimText } from '../session/text-file.ts';
import type { Input, Invocation } from './command.ts';
import { usage } from './parse.ts';
import type { Variables } from './variables.ts';

/** Where a password may come from, in the words of flags and variables. */
export interface PasswordSources {
  readonly file: string | undefined;
  readonly command: string | undefined;
  /** The variable that holds the password itself, without its prefix. */
  readonly variable: string | undefined;
  /** `--insecure-no-password`. */
  readonly allowEmpty: boolean;
  /** What to do about an empty password: where this one can come from. */
  readonly emptyHint: string;
}

/** A password and whether a person typed it, who may try again. */
export interface GivenPassword {
  readonly password: Uint8Array;
  readonly isTyped: boolean;
}

/** How often a person may type a password. */
export const passwordTryCount = 3;

/** The sources of the repository's own password. */
export function repositoryPassword({ globals }: Pick<Invocation, 'globals'>): PasswordSources {
  return {
    file: globals.passwordFile,
    command: globals.passwordCommand,
    variable: 'PASSWORD',
    allowEmpty: globals.insecureNoPassword,
    emptyHint:
      'Use --password-file, --password-command or RESTIC_PASSWORD, or --insecure-no-password for no password.',
  };
}

/** The sources of the password of a user of a server, and how it is asked for. */
export function userPassword(
  name: string,
  file: string | undefined,
): {
  readonly sources: PasswordSources;
  readonly prompts: { readonly first: string; readonly second: string };
} {
  return {
    sources: {
      file,
      command: undefined,
      variable: undefined,
      allowEmpty: false,
      emptyHint: 'Type it, give it on standard input, or name a file with --user-password-file.',
    },
    prompts: { first: `password for ${name}: `, second: 'password again: ' },
  };
}

/**
 * Reads a password that needs nobody to type it.
 *
 * @returns undefined if none is given
 * @throws USAGE, COMMAND_FAILED, PASSWORD_MISSING (an empty one)
 */
export async function givenPassword(
  sources: PasswordSources,
  variables: Variables,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { file, command, variable, allowEmpty, emptyHint } = sources;
  if (file !== undefined && command !== undefined) {
    throw usage('a password file and a password command cannot be given together');
  }
  const text = variable === undefined ? undefined : variables.get(variable);
  if (allowEmpty) {
    if (file === undefined && command === undefined && text === undefined) return new Uint8Array();
    throw usage('--insecure-no-password cannot be given together with a password');
  }
  if (command !== undefined) {
    const words = splitShellWords(command);
    return refuseEmpty(await runPasswordCommand(words, signal), emptyHint);
  }
  if (file !== undefined) {
    return refuseEmpty(trimText(decodeText(readSmallFile(file, 'password file'))), emptyHint);
  }
  return text === undefined ? undefined : Buffer.from(text, 'utf8');
}

function refuseEmpty(password: Uint8Array, hint: string): Uint8Array {
  if (password.byteLength > 0) return password;
  const message = 'an empty password is not allowed';
  throw new HoldfastError('PASSWORD_MISSING', { message, hint });
}

/** The password for a repository that exists: given, typed, or the first line of standard input. */
export async function passwordToOpen(
  invocation: Pick<Invocation, 'variables' | 'input' | 'output' | 'signal'>,
  sources: PasswordSources,
  what = 'repository',
): Promise<GivenPassword> {
  const { variables, input, signal } = invocation;
  const { emptyHint } = sources;
  const given = await givenPassword(sources, variables, signal);
  if (given) return { password: given, isTyped: false };
  if (!input.isTerminal)
    return {
      password: refuseEmpty(await readPasswordLine(input, signal), emptyHint),
      isTyped: false,
    };
  const typed = await typePassword(invocation, `enter password for ${what}: `);
  return { password: refuseEmpty(typed, emptyHint), isTyped: true };
}

/** The password for something new; a person types it twice. */
export async function passwordToCreate(
  invocation: Pick<Invocation, 'variables' | 'input' | 'output' | 'signal'>,
  sources: PasswordSources,
  prompts: { readonly first: string; readonly second: string },
): Promise<Uint8Array> {
  const { variables, input, signal } = invocation;
  const { emptyHint } = sources;
  const given = await givenPassword(sources, variables, signal);
  if (given) return given;
  if (!input.isTerminal) return refuseEmpty(await readPasswordLine(input, signal), emptyHint);
  const first = refuseEmpty(await typePassword(invocation, prompts.first), emptyHint);
  const second = await typePassword(invocation, prompts.second);
  if (Buffer.from(first).equals(second)) return first;
  throw usage('the passwords do not match', 'Nothing was changed.');
}

async function readPasswordLine(input: Input, signal: AbortSignal): Promise<Uint8Array> {
  return (await input.readLine(signal)) ?? new Uint8Array();
}

/** Asks on the terminal, without echo. */
async function typePassword(
  { input, output, signal }: Pick<Invocation, 'input' | 'output' | 'signal'>,
  prompt: string,
): Promise<Uint8Array> {
  try {
    const typed = await input.readHidden(signal, () => output.stderr.write(prompt));
    return typed ?? new Uint8Array();
  } finally {
    output.stderr.write('\n');
  }
}
