import {
  newTokenView,
  type TokenView,
  tokenView,
  type UserView,
  userView,
} from '../../contracts/account-views.ts';
import { pageOf, pageSizeMax } from '../../contracts/paging.ts';
import { type AlertView, alertView } from '../../contracts/views.ts';
import type { Invocation } from '../command.ts';
import type { AlertsFlags } from '../commands/alerts.ts';
import type { TokensAddFlags } from '../commands/tokens.ts';
import type { UsersAddFlags, UsersChangeFlags } from '../commands/users.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { passwordToCreate, userPassword } from '../password.ts';
import { safeText } from '../safe-text.ts';
import { ServerClient } from '../server-client.ts';
import type { ServerFlags } from '../server-flags.ts';
import { type Column, formatTable } from '../table.ts';

const userColumns: readonly Column<UserView>[] = [
  { title: 'Name', cell: ({ name }) => safeText(name) },
  { title: 'Role', cell: ({ role }) => role },
  { title: 'Since', cell: ({ created }) => dayText(created) },
  { title: '', cell: ({ disabled }) => (disabled ? 'disabled' : '') },
];

const tokenColumns: readonly Column<TokenView>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'User', cell: ({ user }) => safeText(user) },
  { title: 'Label', cell: ({ label }) => safeText(label) },
  { title: 'Scopes', cell: ({ scopes }) => scopes.join(',') },
  { title: 'Expires', cell: ({ expires }) => dayText(expires) },
  { title: 'Used', cell: ({ used }) => (used === undefined ? 'never' : dayText(used)) },
];

const alertColumns: readonly Column<AlertView>[] = [
  { title: 'Since', cell: ({ first }) => `${first.slice(0, 16).replace('T', ' ')} UTC` },
  { title: 'What', cell: ({ object }) => safeText(object) },
  { title: '', cell: ({ message }) => safeText(message) },
  { title: '', cell: ({ resolved }) => (resolved === undefined ? '' : 'over') },
];

function dayText(time: string): string {
  return time.slice(0, 10);
}

/** `holdfast users list`. */
export async function usersList(invocation: Invocation<ServerFlags>): Promise<number> {
  const users = await ServerClient.of(invocation).all('/api/v1/users', userView);
  return tell(invocation.output, { kind: 'user', rows: users, columns: userColumns });
}

/** `holdfast users add`. */
export async function usersAdd(invocation: Invocation<UsersAddFlags>): Promise<number> {
  const { flags, output } = invocation;
  const [name = ''] = invocation.arguments;
  const client = ServerClient.of(invocation);
  const password = await readPassword(invocation, name);
  const body = { name, password, role: flags.role ?? 'viewer' };
  const user = await client.ask({ call: 'POST /api/v1/users', body }, userView);
  return tellChanged(output, user);
}

/** `holdfast users change`. */
export async function usersChange(invocation: Invocation<UsersChangeFlags>): Promise<number> {
  const { flags, output } = invocation;
  const { role, userPasswordFile, disable, enable } = flags;
  const [name = ''] = invocation.arguments;
  if (disable && enable) throw usage('--disable and --enable exclude each other');
  const client = ServerClient.of(invocation);
  const body = {
    ...(role === undefined ? {} : { role }),
    ...(disable || enable ? { disabled: disable } : {}),
    ...(userPasswordFile === undefined ? {} : { password: await readPassword(invocation, name) }),
  };
  if (Object.keys(body).length === 0) {
    throw usage('nothing is to be changed', 'Name it by a flag, such as --role.');
  }
  const call = `PATCH ${placeOfUser(name)}`;
  return tellChanged(output, await client.ask({ call, body }, userView));
}

/** `holdfast users remove`. */
export async function usersRemove(invocation: Invocation<ServerFlags>): Promise<number> {
  const [name = ''] = invocation.arguments;
  await ServerClient.of(invocation).send({ call: `DELETE ${placeOfUser(name)}` });
  return 0;
}

function placeOfUser(name: string): string {
  return `/api/v1/users/${encodeURIComponent(name)}`;
}

async function readPassword(invocation: Invocation<UsersAddFlags>, name: string): Promise<string> {
  const { sources, prompts } = userPassword(name, invocation.flags.userPasswordFile);
  return Buffer.from(await passwordToCreate(invocation, sources, prompts)).toString('utf8');
}

function tellChanged(output: Output, user: UserView): number {
  return output.isJson ? tell(output, { kind: 'user', rows: [user], columns: userColumns }) : 0;
}

/** `holdfast tokens list`. */
export async function tokensList(invocation: Invocation<ServerFlags>): Promise<number> {
  const tokens = await ServerClient.of(invocation).all('/api/v1/tokens', tokenView);
  return tell(invocation.output, { kind: 'token', rows: tokens, columns: tokenColumns });
}

/** `holdfast tokens add`. */
export async function tokensAdd(invocation: Invocation<TokensAddFlags>): Promise<number> {
  const { flags, output } = invocation;
  const [label = ''] = invocation.arguments;
  const body = {
    label,
    scopes: flags.scope.length > 0 ? flags.scope : ['read'],
    ...(flags.days === undefined ? {} : { 'expires-in-days': flags.days }),
  };
  const call = 'POST /api/v1/tokens';
  const made = await ServerClient.of(invocation).ask({ call, body }, newTokenView);
  if (output.isJson) output.line(JSON.stringify({ message_type: 'token', ...made }));
  else {
    output.line(made.token);
    output.info(`it counts until ${dayText(made.expires)}, and is told this once`);
  }
  return 0;
}

/** `holdfast tokens remove`. */
export async function tokensRemove(invocation: Invocation<ServerFlags>): Promise<number> {
  const [id = ''] = invocation.arguments;
  const call = `DELETE /api/v1/tokens/${encodeURIComponent(id)}`;
  await ServerClient.of(invocation).send({ call });
  return 0;
}

/** `holdfast alerts`. */
export async function alertsList(invocation: Invocation<AlertsFlags>): Promise<number> {
  const client = ServerClient.of(invocation);
  const state = invocation.flags.all ? '' : '&state=open';
  const alerts: AlertView[] = [];
  for (let cursor = ''; ; ) {
    const call = `GET /api/v1/alerts?limit=${pageSizeMax}${state}${cursor}`;
    const page = await client.ask({ call }, pageOf(alertView));
    alerts.push(...page.items);
    if (page.next === undefined) break;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
  return tell(invocation.output, { kind: 'alert', rows: alerts, columns: alertColumns });
}

interface Told<Row> {
  readonly kind: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
}

function tell<Row extends object>(output: Output, { kind, rows, columns }: Told<Row>): number {
  if (output.isJson) {
    for (const row of rows) output.line(JSON.stringify({ message_type: kind, ...row }));
  } else if (rows.length > 0) {
    for (const line of formatTable(columns, rows)) output.line(line);
  }
  return 0;
}
