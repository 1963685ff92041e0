import { hash } from 'bcryptjs';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { setOwner } from '../platform/attributes.ts';
import { openDirectory } from '../platform/directory.ts';
import { closeFile, lockFile } from '../platform/file-calls.ts';
import { resolvePath, splitPath } from '../platform/folders.ts';
import { isElevated } from '../platform/machine.ts';
import { type FileStatus, readStatus, readStatusOf } from '../platform/status.ts';
import { writeFileAtomic } from '../platform/whole-file.ts';
import {
  assertUserName,
  newCost,
  parseUsers,
  passwordSizeBytesMax,
  type UserList,
  withoutUser,
  withUser,
} from './htpasswd.ts';
import { readUserText } from './user-file.ts';

const userFileMode = 0o600;

/** Users of a file and remarks on it. @throws FILE_NOT_FOUND, PERMISSION_DENIED */
export function listUsers(path: string): UserList {
  return parseUsers(readUserText(path));
}

/**
 * Adds a user, or gives one a new password. Makes the file if it is missing.
 * @returns whether the user is new
 * @throws USAGE for a name or password that cannot be one, or if somebody else changes the file at this moment
 */
export async function setUser(
  path: string,
  user: { readonly name: string; readonly password: Uint8Array },
): Promise<boolean> {
  assertUserName(user.name);
  const line = { name: user.name, hash: await hash(passwordText(user.password), newCost) };
  return change(path, (text) => {
    const { users } = parseUsers(text);
    const twin = [...users.keys()].find(
      (name) => name !== user.name && name.toLowerCase() === user.name.toLowerCase(),
    );
    if (twin !== undefined) {
      // Some file systems would give both the same folder.
      throw new HoldfastError('USAGE', {
        message: `the user ${JSON.stringify(twin)} has the same name but for capital letters`,
      });
    }
    return { text: withUser(text, line), result: !users.has(user.name) };
  });
}

/** Removes a user. @throws USAGE if there is none of this name, or if somebody else changes the file at this moment */
export function removeUser(path: string, name: string): void {
  change(path, (text) => {
    const rest = withoutUser(text, name);
    if (rest !== undefined) return { text: rest, result: undefined };
    throw new HoldfastError('USAGE', {
      message: `there is no user ${JSON.stringify(name)}`,
      hint: 'List them with "holdfast serve-user list".',
    });
  });
}

/** @throws USAGE for a password that bcrypt or a client would take for another */
function passwordText(password: Uint8Array): string {
  const text = Buffer.from(password).toString('utf8');
  if (password.byteLength > passwordSizeBytesMax) {
    const message = `a password may have ${passwordSizeBytesMax} bytes at most: of a longer one the rest would not count`;
    throw new HoldfastError('USAGE', { message });
  }
  if (text.includes('\0') || !Buffer.from(text).equals(Buffer.from(password))) {
    throw new HoldfastError('USAGE', { message: 'the password is not text in UTF-8' });
  }
  return text;
}

/** Changes the file while nobody else does: the folder is locked, since the file is replaced. */
function change<T>(
  path: string,
  edit: (text: string) => { readonly text: string; readonly result: T },
): T {
  const given = Buffer.from(path);
  const bytes = resolvePath(given) ?? given;
  const { parent, name } = splitPath(bytes);
  const directory = openDirectory(parent, { noFollow: false });
  try {
    if (!lockFile(directory)) {
      const message = 'somebody else changes the users at this moment; try again';
      throw new HoldfastError('USAGE', { message });
    }
    const before = statusIfAny(bytes);
    const { text, result } = edit(before ? readUserText(path) : '');
    writeFileAtomic(bytes, Buffer.from(text), before ? before.mode & 0o777 : userFileMode);
    // Root makes it for the user that the server runs as, who must be able to read it.
    const { uid, gid } = before ?? readStatusOf(directory);
    if (isElevated()) setOwner({ directory, name }, { uid, gid });
    return result;
  } finally {
    closeFile(directory);
  }
}

function statusIfAny(path: Uint8Array): FileStatus | undefined {
  try {
    return readStatus(path, { follow: true });
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}
