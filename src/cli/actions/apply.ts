import { passwordOf, storeVariables } from '../../agent/secrets.ts';
import type { Estate } from '../../contracts/estate.ts';
import { formatEstate } from '../../contracts/estate-file.ts';
import type { Policy } from '../../contracts/policy.ts';
import type { RepositorySettings } from '../../contracts/repository-request.ts';
import type { SourceEntry } from '../../contracts/source-entry.ts';
import type { Invocation } from '../command.ts';
import type { ApplyFlags } from '../commands/apply.ts';
import { changeLines, type EstateChange, estateDifference } from '../estate-difference.ts';
import { usage } from '../parse.ts';
import { estateOf } from '../read-estate.ts';
import { safeText } from '../safe-text.ts';
import { ServerClient } from '../server-client.ts';
import {
  fileEntryOf,
  type GivenSecrets,
  loadServerEstate,
  type ServerEstate,
  serverEstateOf,
} from '../server-estate.ts';
import type { ServerFlags } from '../server-flags.ts';

type ApplyInvocation = Invocation<ApplyFlags>;

/** `holdfast apply`. */
export async function apply(invocation: ApplyInvocation): Promise<number> {
  const { flags, output } = invocation;
  const { estate } = estateOf(invocation);
  const want = serverEstateOf(estate);
  const client = ServerClient.of(invocation);
  const { estate: have } = await loadServerEstate(client);
  const all = estateDifference(have, want);
  const changes = all.filter(({ action }) => action !== 'remove' || flags.delete);
  const kept = all.length - changes.length;
  const again = flags.secrets ? unchangedRepositories(want, changes) : [];
  tell(invocation, changes);
  for (const { name } of again) output.info(`~ repository ${name}: its secrets`);
  if (kept > 0) {
    output.info(
      `${kept} on the server ${kept === 1 ? 'is' : 'are'} not in the file and stay; --delete removes them.`,
    );
  }
  if (changes.length + again.length === 0) {
    output.info('The server has what the file says.');
    return 0;
  }
  if (flags.dryRun || !(await isConfirmed(invocation))) return 0;
  for (const change of [...changes, ...again])
    await carryOut(invocation, { client, estate, change });
  output.info(`${changes.length + again.length} changes made.`);
  return 0;
}

function tell({ output }: ApplyInvocation, changes: readonly EstateChange[]): void {
  for (const change of changes) {
    const { action, kind, name, before, after } = change;
    if (output.isJson) {
      output.line(JSON.stringify({ message_type: 'change', action, kind, name, before, after }));
    } else for (const line of changeLines(change)) output.line(safeText(line));
  }
}

/** Repositories that stay as they are, whose secrets are sent all the same. */
function unchangedRepositories(
  want: ServerEstate,
  changes: readonly EstateChange[],
): EstateChange[] {
  const changed = new Set(
    changes.filter(({ kind }) => kind === 'repositories').map(({ name }) => name),
  );
  return [...want.repositories]
    .filter(([name]) => !changed.has(name))
    .map(([name, after]) => ({
      kind: 'repositories',
      name,
      action: 'change',
      before: after,
      after,
    }));
}

/** @throws USAGE where nobody can be asked */
async function isConfirmed({ flags, input, output, signal }: ApplyInvocation): Promise<boolean> {
  if (flags.yes) return true;
  if (!input.isTerminal) {
    throw usage(
      'nobody can be asked whether to change this',
      'Nothing was changed. Add --yes, or --dry-run.',
    );
  }
  output.info('Change this? [y/N]');
  const answer = Buffer.from((await input.readLine(signal)) ?? '')
    .toString('utf8')
    .trim();
  const isYes = /^y(es)?$/i.test(answer);
  if (!isYes) output.info('Nothing was changed.');
  return isYes;
}

/** @throws what the server answers: what was changed before stays, and the same command goes on */
async function carryOut(
  invocation: ApplyInvocation,
  {
    client,
    estate,
    change,
  }: { readonly client: ServerClient; readonly estate: Estate; readonly change: EstateChange },
): Promise<void> {
  const { kind, name, action, after } = change;
  const place = `/api/v1/${kind}`;
  if (action === 'remove') {
    await client.send({ call: `DELETE ${place}/${name}` });
    return;
  }
  const secrets = kind === 'repositories' ? await secretsOf(invocation, estate, name) : {};
  if (action === 'change') {
    await client.send({ call: `PUT ${place}/${name}`, body: { entry: after, ...secrets } });
    return;
  }
  const create = kind === 'repositories' && invocation.flags.create ? { create: true } : {};
  await client.send({ call: `POST ${place}`, body: { name, entry: after, ...secrets, ...create } });
}

/** @throws USAGE, PASSWORD_MISSING, COMMAND_FAILED */
async function secretsOf(
  { variables, signal }: ApplyInvocation,
  { repositories }: Estate,
  name: string,
): Promise<GivenSecrets> {
  const entry = repositories[name];
  if (!entry) throw usage(`there is no repository "${name}"`);
  const password = await passwordOf(name, entry, { variables: variables.all, signal });
  const values = await storeVariables(name, entry, { variables: variables.all, signal });
  const environment = Object.keys(entry.environment ?? {}).map(
    (key) => [key, values[key]] as const,
  );
  return {
    password: Buffer.from(password).toString('utf8'),
    environment: Object.fromEntries(environment),
  };
}

/** `holdfast export`. */
export async function exportEstate(invocation: Invocation<ServerFlags>): Promise<number> {
  const { output } = invocation;
  const { estate, secrets } = await loadServerEstate(ServerClient.of(invocation));
  const repositories = [...estate.repositories].map(([name, entry]) => {
    // The server has checked them when they were given.
    const settings = entry as RepositorySettings;
    return [name, fileEntryOf(name, settings, secrets.get(name) ?? [])] as const;
  });
  const file: Estate = {
    version: 1,
    repositories: Object.fromEntries(repositories),
    policies: Object.fromEntries(estate.policies) as Record<string, Policy>,
    sources: Object.fromEntries(estate.sources) as Record<string, SourceEntry>,
  };
  output.line(
    '# The estate of a server. Its secrets are not in it: they come from the variables that are named.',
  );
  output.line(formatEstate(file).trimEnd());
  return 0;
}
