import { hostName } from '../../platform/machine.ts';
import { newTokenView, sessionView } from '../../contracts/account-views.ts';
import { type Scope, scopes } from '../../contracts/accounts.ts';
import { readSmallFile } from '../../session/small-file.ts';
import type { Invocation } from '../command.ts';
import type { LoginFlags } from '../commands/login.ts';
import { usage } from '../parse.ts';
import { passwordToCreate, passwordToOpen, userPassword } from '../password.ts';
import { ServerClient } from '../server-client.ts';
import { keepLogin, serverUrl } from '../server-login.ts';

type LoginInvocation = Invocation<LoginFlags>;

const urlDefault = 'http://127.0.0.1:8640';

/** `holdfast login`. */
export async function login(invocation: LoginInvocation): Promise<number> {
  const { flags, output } = invocation;
  const name = flags.user;
  if (name === undefined) throw usage('no user was named', 'Name one with --user.');
  const asked = flags.scope.map(scopeOf);
  const link = flags.setUp === undefined ? undefined : await readLink(invocation, flags.setUp);
  const url = link?.url ?? serverUrl(flags.server ?? urlDefault);
  const password = await readPassword(invocation, { name, isNew: link !== undefined });
  const client = new ServerClient(url, undefined, invocation);
  if (link) {
    await client.send({ call: 'POST /api/v1/set-up', body: { token: link.token, name, password } });
    output.info(`made the first user, ${name}`);
  }
  const response = await client.send({ call: 'POST /api/v1/session', body: { name, password } });
  const session = sessionView.parse(await response.json());
  const cookie = response.headers.get('set-cookie')?.split(';')[0] ?? '';
  const headers = { Cookie: cookie, 'X-Holdfast-CSRF': session['csrf-token'] ?? '' };
  const body = {
    label: `login on ${hostName()}`,
    scopes: asked.length > 0 ? asked : session.scopes,
  };
  const made = await client.ask({ call: 'POST /api/v1/tokens', body, headers }, newTokenView);
  await client.send({ call: 'DELETE /api/v1/session', headers });
  const file = keepLogin(invocation, { url, token: made.token });
  if (output.isJson) output.json({ message_type: 'login', url, expires: made.expires, file });
  else
    output.info(
      `signed in to ${url} as ${name} until ${made.expires.slice(0, 10)}; kept in ${file}`,
    );
  return 0;
}

/** @throws USAGE */
function scopeOf(text: string): Scope {
  const scope = scopes.find((known) => known === text);
  if (scope !== undefined) return scope;
  throw usage(`there is no scope ${JSON.stringify(text)}`, `Scopes are ${scopes.join(', ')}.`);
}

/** The link, which is a secret, and so no argument. @throws USAGE */
async function readLink(
  { input, signal }: LoginInvocation,
  file: string,
): Promise<{ readonly url: string; readonly token: string }> {
  const bytes =
    file === '-' ? await input.readLine(signal) : readSmallFile(file, 'file with the set-up link');
  const text = /https?:\/\/\S+/.exec(Buffer.from(bytes ?? '').toString('utf8'))?.[0] ?? '';
  const token = URL.canParse(text) ? new URL(text).searchParams.get('token') : null;
  if (token === null)
    throw usage('there is no set-up link', 'A new server prints it when it starts.');
  return { url: serverUrl(text), token };
}

async function readPassword(
  invocation: LoginInvocation,
  { name, isNew }: { readonly name: string; readonly isNew: boolean },
): Promise<string> {
  const { sources, prompts } = userPassword(name, invocation.flags.userPasswordFile);
  const bytes = isNew
    ? await passwordToCreate(invocation, sources, prompts)
    : (await passwordToOpen(invocation, sources, name)).password;
  return Buffer.from(bytes).toString('utf8');
}
