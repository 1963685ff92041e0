import { HoldfastError } from '../base/errors.ts';
import type { Estate } from '../contracts/estate.ts';
import { fieldProblems } from '../contracts/estate-file.ts';
import { policyRequestSchema, sourceRequestSchema } from '../contracts/estate-requests.ts';
import type { RepositoryEntry, SecretValue } from '../contracts/repository-entry.ts';
import {
  type RepositorySettings,
  repositoryRequestSchema,
  type StoreVariableName,
} from '../contracts/repository-request.ts';
import { policyView, repositoryView, sourceView } from '../contracts/views.ts';
import type { ServerClient } from './server-client.ts';

/** What an estate consists of, in the order in which one refers to the other. */
export const estateKinds = ['repositories', 'policies', 'sources'] as const;

/** What an estate consists of. */
export type ServerKind = (typeof estateKinds)[number];

/** Entries by their names, as a server knows them: without secrets. */
export type ServerEstate = Readonly<Record<ServerKind, ReadonlyMap<string, object>>>;

/** Fields of a repository in an estate file that hold secrets, or say where they are. */
const secretFields: readonly string[] = [
  'password-file',
  'password-command',
  'password-variable',
  'environment',
];

/** What a server has, and which secrets of repositories it keeps. */
export async function loadServerEstate(client: ServerClient): Promise<{
  readonly estate: ServerEstate;
  readonly secrets: ReadonlyMap<string, readonly string[]>;
}> {
  const repositories = await client.all('/api/v1/repositories', repositoryView);
  const policies = await client.all('/api/v1/policies', policyView);
  const sources = await client.all('/api/v1/sources', sourceView);
  return {
    estate: {
      repositories: byName(repositories),
      policies: byName(policies),
      sources: byName(sources),
    },
    secrets: new Map(repositories.map(({ name, secrets }) => [name, secrets])),
  };
}

/** What of an estate file a server is told. @throws USAGE, naming all fields that it does not take */
export function serverEstateOf(estate: Estate): ServerEstate {
  const refused: string[] = [];
  const checked = (kind: ServerKind, entries: Readonly<Record<string, object>>) =>
    new Map(
      Object.entries(entries).map(([name, entry]) => {
        refused.push(...problemsOf(kind, name, entry));
        return [name, entry] as const;
      }),
    );
  for (const field of ['hooks', 'on-failure'] as const) {
    if (estate[field]) refused.push(`${field}: a server starts no programs that it is told`);
  }
  const settings = Object.entries(estate.repositories).map(
    ([name, entry]) => [name, settingsOf(entry)] as const,
  );
  const result = {
    repositories: checked('repositories', Object.fromEntries(settings)),
    policies: checked('policies', estate.policies),
    sources: checked('sources', estate.sources),
  };
  if (refused.length === 0) return result;
  throw new HoldfastError('USAGE', {
    message: `a server does not take this: ${refused.join('; ')}`,
    hint: 'Nothing was changed. "holdfast run" does what such a file says without a server.',
  });
}

/** The fields of a repository that are no secrets. Those that a server does not know are refused by its schema. */
function settingsOf(entry: RepositoryEntry): object {
  return Object.fromEntries(
    Object.entries(entry).filter(([field]) => !secretFields.includes(field)),
  );
}

function problemsOf(kind: ServerKind, name: string, entry: object): string[] {
  const schema = {
    // The password comes later, and no file says what it is.
    repositories: repositoryRequestSchema,
    policies: policyRequestSchema,
    sources: sourceRequestSchema,
  }[kind];
  const extra = kind === 'repositories' ? { password: 'x' } : {};
  const result = schema.safeParse({ name, entry, ...extra }, { reportInput: true });
  if (result.success) return [];
  return fieldProblems(result.error.issues).map(
    ({ path, message }) => `${[kind, name, ...path.slice(1)].join('.')}: ${message}`,
  );
}

/** A repository of a server as an estate file has it: its secrets are to come from variables of these names. */
export function fileEntryOf(
  name: string,
  settings: RepositorySettings,
  secrets: readonly string[],
): RepositoryEntry {
  const variables = secrets
    .filter((secret) => secret !== 'password')
    .map((secret): [string, SecretValue] => [secret, { variable: secret }]);
  return {
    ...settings,
    'password-variable': `HOLDFAST_PASSWORD_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
    ...(variables.length > 0 ? { environment: Object.fromEntries(variables) } : {}),
  };
}

/** The secrets of a repository, as a request has them. */
export interface GivenSecrets {
  readonly password: string;
  readonly environment: Readonly<Partial<Record<StoreVariableName, string>>>;
}

function byName(
  views: readonly { readonly name: string; readonly entry: object }[],
): Map<string, object> {
  return new Map(views.map(({ name, entry }) => [name, entry] as const));
}
