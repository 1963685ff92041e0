import { HoldfastError } from '../base/errors.ts';
import type { RepositoryEntry, SecretValue } from '../contracts/repository-entry.ts';
import { runPasswordCommand } from '../session/password-command.ts';
import { readSmallFile } from '../session/small-file.ts';
import { decodeText, trimText } from '../session/text-file.ts';
import type { AgentHost } from './host.ts';

type SecretHost = Pick<AgentHost, 'variables' | 'signal'>;

/**
 * The password of a repository, from where its entry says.
 *
 * @param name the repository's, for messages, which never hold the password
 * @throws USAGE, PASSWORD_MISSING, COMMAND_FAILED, CANCELLED
 */
export async function passwordOf(
  name: string,
  entry: RepositoryEntry,
  host: SecretHost,
): Promise<Uint8Array> {
  if (entry['insecure-no-password']) return new Uint8Array();
  const password = await bytesOf(
    {
      file: entry['password-file'],
      command: entry['password-command'],
      variable: entry['password-variable'],
    },
    `password of "${name}"`,
    host,
  );
  if (password.byteLength > 0) return password;
  throw new HoldfastError('PASSWORD_MISSING', {
    message: `the password of "${name}" is empty`,
    hint: 'An empty password has to be asked for: "insecure-no-password: true".',
  });
}

/** The variables that the stores of an entry see: those of the process, and over them its own. @throws as `passwordOf` */
export async function storeVariables(
  name: string,
  { environment = {} }: RepositoryEntry,
  host: SecretHost,
): Promise<Readonly<Record<string, string | undefined>>> {
  const own: Record<string, string> = {};
  for (const [variable, value] of Object.entries(environment)) {
    const bytes = await bytesOf(value, `value of ${variable} of "${name}"`, host);
    own[variable] = Buffer.from(bytes).toString('utf8');
  }
  return { ...host.variables, ...own };
}

async function bytesOf(
  { file, command, variable, value }: SecretValue,
  what: string,
  { variables, signal }: SecretHost,
): Promise<Uint8Array> {
  if (value !== undefined) return Buffer.from(value, 'utf8');
  if (command !== undefined) return runPasswordCommand(command, signal);
  if (file !== undefined) return trimText(decodeText(readSmallFile(file, `file with the ${what}`)));
  const text = variables[variable ?? ''];
  if (text !== undefined && text !== '') return Buffer.from(text, 'utf8');
  throw new HoldfastError('USAGE', {
    message: `the ${what} is missing: the variable ${variable ?? ''} is not set`,
  });
}
