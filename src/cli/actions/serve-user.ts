import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { listUsers, removeUser, setUser } from '../../serve/edit-users.ts';
import { assertUserName, costOf, isBcrypt, type UserEntry } from '../../serve/htpasswd.ts';
import { userFileOf } from '../../serve/start-server.ts';
import type { FlagValues, Invocation } from '../command.ts';
import type { UserFlags, UserPasswordFlags } from '../commands/serve-user.ts';
import { passwordToCreate } from '../password.ts';
import { servedPath } from '../served-path.ts';
import { type Column, formatTable } from '../table.ts';

const columns: readonly Column<UserEntry>[] = [
  { title: 'User', cell: ({ name }) => name },
  { title: 'Hash', cell: ({ hash }) => hashKind(hash) },
];

function hashKind(hash: string): string {
  return isBcrypt(hash) ? `bcrypt, cost ${costOf(hash)}` : 'SHA-1 (weak)';
}

/** `holdfast serve-user add`. */
export async function userAdd(invocation: Invocation<UserPasswordFlags>): Promise<number> {
  const { flags, output } = invocation;
  const [name = ''] = invocation.arguments;
  const file = userFile(flags);
  // Before anybody types a password for it.
  assertUserName(name);
  const sources = {
    file: flags.userPasswordFile,
    command: undefined,
    variable: undefined,
    allowEmpty: false,
    emptyHint: 'Type it, give it on standard input, or name a file with --user-password-file.',
  };
  const prompts = { first: `password for ${name}: `, second: 'password again: ' };
  const password = await passwordToCreate(invocation, sources, prompts);
  const isNew = await setUser(file, { name, password });
  output.info(isNew ? `added user ${name}` : `changed the password of user ${name}`);
  return 0;
}

/** `holdfast serve-user list`. */
export async function userList({ flags, output }: Invocation<UserFlags>): Promise<number> {
  const file = userFile(flags);
  const { users, remarks } = readUsers(file);
  const list = [...users.values()];
  if (output.isJson) output.json(list.map(({ name, hash }) => ({ name, hash: hashKind(hash) })));
  else for (const line of formatTable(columns, list)) output.line(line);
  for (const remark of remarks) output.errorLine(`${file}: ${remark}`);
  return 0;
}

/** `holdfast serve-user remove`. */
export async function userRemove(invocation: Invocation<UserFlags>): Promise<number> {
  const [name = ''] = invocation.arguments;
  removeUser(userFile(invocation.flags), name);
  invocation.output.info(`removed user ${name}`);
  return 0;
}

function userFile(flags: FlagValues<UserFlags>): string {
  return flags.userFile ?? userFileOf(servedPath(flags));
}

function readUsers(file: string): ReturnType<typeof listUsers> {
  try {
    return listUsers(file);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    throw new HoldfastError('USAGE', {
      message: `there is no file of users at ${JSON.stringify(file)}`,
      hint: 'Make it with "holdfast serve-user add NAME".',
    });
  }
}
