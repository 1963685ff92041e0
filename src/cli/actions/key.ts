import { HoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { shortId } from '../../repository/id.ts';
import {
  addKey,
  changePassword,
  type ListedKey,
  listKeys,
  type NewKeyOptions,
  removeKey,
} from '../../repository/keys.ts';
import { findByPrefix } from '../../repository/repository-find.ts';
import { thisOwner } from '../../session/this-process.ts';
import type { Invocation } from '../command.ts';
import type { NewKeyFlags } from '../commands/key.ts';
import { formatLocalTime } from '../format.ts';
import { passwordToCreate } from '../password.ts';
import { safeText } from '../safe-text.ts';
import { withSession } from '../session.ts';
import { type Column, formatTable } from '../table.ts';

const columns: readonly Column<ListedKey>[] = [
  { title: ' ID', cell: ({ id, isCurrent }) => (isCurrent ? '*' : ' ') + shortId(id) },
  { title: 'User', cell: ({ username }) => safeText(username) },
  { title: 'Host', cell: ({ hostname }) => safeText(hostname) },
  { title: 'Created', cell: ({ created }) => formatLocalTime(created) },
];

/** `holdfast key list`. */
export function keyList(invocation: Invocation): Promise<number> {
  const { output } = invocation;
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const { keys, damaged } = await listKeys(session.repository, { signal: session.signal });
    for (const { id, error } of damaged) {
      session.monitor.problem({ item: `key ${id}`, during: 'scan', error });
    }
    if (output.isJson) output.json(keys.map(keyJson));
    else for (const line of formatTable(columns, keys)) output.line(line);
    return session.exitCode();
  });
}

function keyJson({ isCurrent, id, username, hostname, created }: ListedKey): {
  readonly [key: string]: string | boolean;
} {
  return {
    current: isCurrent,
    id,
    userName: username,
    hostName: hostname,
    created: formatLocalTime(created),
  };
}

/** As restic, which has no JSON for this: in the same words with --json. */
function tell({ output }: Pick<Invocation, 'output'>, text: string): void {
  if (output.verbosity >= 1) output.line(text);
}

/** `holdfast key add`. */
export function keyAdd(invocation: Invocation<NewKeyFlags>): Promise<number> {
  const options = { lock: 'shared', writes: true } as const;
  return withSession(invocation, options, async ({ repository, lock, signal }) => {
    await lock?.settled;
    const id = await addKey(repository, await newKeyOptions(invocation, signal));
    tell(invocation, `saved new key with ID ${id}`);
    return 0;
  });
}

/** `holdfast key passwd`. */
export function keyPasswd(invocation: Invocation<NewKeyFlags>): Promise<number> {
  const options = { lock: 'exclusive', writes: true } as const;
  return withSession(invocation, options, async ({ repository, signal }) => {
    const id = await changePassword(repository, await newKeyOptions(invocation, signal));
    tell(invocation, `saved new key with ID ${id}`);
    return 0;
  });
}

/** `holdfast key remove`. */
export function keyRemove(invocation: Invocation): Promise<number> {
  const prefix = invocation.arguments[0] ?? '';
  const options = { lock: 'exclusive', writes: true } as const;
  return withSession(invocation, options, async ({ repository, signal }) => {
    const search = { type: 'key', prefix } as const;
    const id: Id | undefined = await findByPrefix(repository.backend, search, { signal });
    if (id === undefined) {
      const message = `no key has an id that begins with ${JSON.stringify(prefix)}`;
      throw new HoldfastError('USAGE', { message, hint: 'List them with "holdfast key list".' });
    }
    await removeKey(repository, id, { signal });
    invocation.output.info(`removed key ${id}`);
    return 0;
  });
}

async function newKeyOptions(
  invocation: Invocation<NewKeyFlags>,
  signal: AbortSignal,
): Promise<NewKeyOptions> {
  const { flags } = invocation;
  const owner = thisOwner();
  const password = await passwordToCreate(
    invocation,
    {
      file: flags.newPasswordFile,
      command: undefined,
      variable: undefined,
      allowEmpty: flags.newInsecureNoPassword,
      emptyHint:
        'Give the new password with --new-password-file, or --new-insecure-no-password for no password.',
    },
    { first: 'enter new password: ', second: 'enter password again: ' },
  );
  return {
    password,
    username: flags.user ?? owner.username,
    hostname: flags.host ?? owner.hostname,
    signal,
  };
}
