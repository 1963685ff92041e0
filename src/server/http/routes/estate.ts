import { z } from 'zod';
import { isHoldfastError } from '../../../base/errors.ts';
import {
  policyChangeSchema,
  policyRequestSchema,
  sourceChangeSchema,
  sourceRequestSchema,
} from '../../../contracts/estate-requests.ts';
import { pageOf, pageQuery } from '../../../contracts/paging.ts';
import type { Policy } from '../../../contracts/policy.ts';
import {
  type RepositoryChange,
  repositoryChangeSchema,
  type RepositoryRequest,
  repositoryRequestSchema,
  type RepositorySettings,
} from '../../../contracts/repository-request.ts';
import { nameText } from '../../../contracts/texts.ts';
import {
  type PolicyView,
  policyView,
  type RepositoryView,
  repositoryView,
  type SourceView,
  sourceView,
} from '../../../contracts/views.ts';
import { policySentences } from '../../../policy/sentences.ts';
import {
  entryOf,
  type EstateKind,
  fieldError,
  type RepositorySecrets,
  secretVariables,
} from '../../state/estate-store.ts';
import { storedJson } from '../../state/json.ts';
import type { NamedRow, RepositoryRow } from '../../state/tables.ts';
import { pageAnswer, pageFrom, timeText } from '../paging.ts';
import { jsonRoute, type Route, type RouteRequest } from '../route.ts';
import type { Services } from '../services.ts';

/** The name of something of the estate, in a path. */
export const namePath: z.ZodType<{ readonly name: string }> = z.strictObject({ name: nameText });

type Named<B = unknown> = RouteRequest<{ readonly name: string }, unknown, B>;

/** Repositories, policies and sources. */
export const estateRoutes: readonly Route[] = [
  ...repositoryRoutes(),
  ...namedRoutes({
    kind: 'policies',
    one: 'policy',
    request: policyRequestSchema,
    change: policyChangeSchema,
    answer: policyView,
    view: viewPolicy,
  }),
  ...namedRoutes({
    kind: 'sources',
    one: 'source',
    request: sourceRequestSchema,
    change: sourceChangeSchema,
    answer: sourceView,
    view: viewSource,
  }),
];

interface NamedKind<E, V> {
  readonly kind: 'policies' | 'sources';
  /** One of them. */
  readonly one: string;
  readonly request: z.ZodType<{ readonly name: string; readonly entry: E }>;
  readonly change: z.ZodType<{ readonly entry: E }>;
  readonly answer: z.ZodType<V>;
  readonly view: (row: NamedRow) => V;
}

function namedRoutes<E, V>({ kind, one, request, change, answer, view }: NamedKind<E, V>): Route[] {
  const path = `/api/v1/${kind}`;
  const put = async (
    { services, ...asked }: Pick<Named, 'services' | 'change'>,
    values: { readonly name: string; readonly entry: E },
    isNew: boolean,
  ): Promise<V> => {
    const action = isNew ? `add-${one}` : `change-${one}`;
    const row = await asked.change({ action, object: values.name }, async (db) => {
      await services.estate.put(db, { kind, ...values }, isNew);
      return services.estate.get(kind, values.name, db);
    });
    services.control.poke();
    return view(row);
  };
  return [
    jsonRoute({
      method: 'GET',
      path,
      access: 'read',
      summary: `List ${kind}`,
      query: pageQuery,
      answer: pageOf(answer),
      handle: async ({ query, services }) => {
        const page = pageFrom(query);
        const rows = await services.estate.list(kind, page);
        return pageAnswer(rows, page, { keyOf: ({ name }) => name, view });
      },
    }),
    jsonRoute({
      method: 'POST',
      path,
      access: 'manage',
      summary: `Add a ${one}`,
      body: request,
      answer,
      status: 201,
      handle: (asked) => put(asked, asked.body, true),
    }),
    jsonRoute({
      method: 'GET',
      path: `${path}/{name}`,
      access: 'read',
      summary: `One ${one}`,
      parameters: namePath,
      answer,
      handle: async ({ path: { name }, services }) => view(await services.estate.get(kind, name)),
    }),
    jsonRoute({
      method: 'PUT',
      path: `${path}/{name}`,
      access: 'manage',
      summary: `Change a ${one}`,
      parameters: namePath,
      body: change,
      answer,
      handle: (asked) => put(asked, { name: asked.path.name, entry: asked.body.entry }, false),
    }),
    removeRoute(kind, one),
  ];
}

function removeRoute(kind: EstateKind, one: string): Route {
  const what = kind === 'repositories' ? '; what is stored in it stays' : '';
  return jsonRoute({
    method: 'DELETE',
    path: `/api/v1/${kind}/{name}`,
    access: 'manage',
    summary: `Forget a ${one} that nothing uses${what}`,
    parameters: namePath,
    handle: async ({ path: { name }, services, change }) => {
      await change({ action: `remove-${one}`, object: name }, (db) =>
        services.estate.remove(db, kind, name),
      );
      services.control.poke();
    },
  });
}

function repositoryRoutes(): Route[] {
  const path = '/api/v1/repositories';
  return [
    jsonRoute({
      method: 'GET',
      path,
      access: 'read',
      summary: 'List repositories',
      query: pageQuery,
      answer: pageOf(repositoryView),
      handle: async ({ query, services }) => {
        const page = pageFrom(query);
        const rows = await services.estate.listRepositories(page);
        return pageAnswer(rows, page, { keyOf: ({ name }) => name, view: storedViewer(services) });
      },
    }),
    jsonRoute({
      method: 'POST',
      path,
      access: 'manage',
      summary: 'Add a repository: one that is there is opened, or a new one is made',
      body: repositoryRequestSchema,
      answer: repositoryView,
      status: 201,
      handle: addRepository,
    }),
    jsonRoute({
      method: 'GET',
      path: `${path}/{name}`,
      access: 'read',
      summary: 'One repository',
      parameters: namePath,
      answer: repositoryView,
      handle: async ({ path: { name }, services }) =>
        storedViewer(services)(await services.estate.getRepository(name)),
    }),
    jsonRoute({
      method: 'PUT',
      path: `${path}/{name}`,
      access: 'manage',
      summary: 'Change where a repository is or how it is opened',
      parameters: namePath,
      body: repositoryChangeSchema,
      answer: repositoryView,
      handle: changeRepository,
    }),
    removeRoute('repositories', 'repository'),
  ];
}

async function addRepository(
  request: RouteRequest<unknown, unknown, RepositoryRequest>,
): Promise<RepositoryView> {
  const { body, services, change } = request;
  const { name, entry, create = false } = body;
  const secrets = { password: body.password, environment: defined(body.environment) };
  const { repositoryId, isNew } = await attach(services, { name, entry, secrets, create });
  const details = { made: isNew, location: entry.location };
  return change({ action: 'add-repository', object: name, details }, async (db) => {
    await services.estate.putRepository(db, { name, entry, secrets, repositoryId }, true);
    return viewRepository(await services.estate.getRepository(name, db), secrets);
  });
}

async function changeRepository(request: Named<RepositoryChange>): Promise<RepositoryView> {
  const { path, body, services, change } = request;
  const { name } = path;
  const { entry } = body;
  const before = await services.estate.getRepository(name);
  const secrets = secretsAfter(body, services.estate.openSecrets(before));
  const { repositoryId } = await attach(services, { name, entry, secrets, create: false });
  if (repositoryId !== before.repository_id) {
    throw fieldError([
      {
        path: ['entry', 'location'],
        message: 'leads to another repository: add that under a name of its own',
      },
    ]);
  }
  const details = { location: entry.location, fields: Object.keys(body).join(',') };
  const view = await change({ action: 'change-repository', object: name, details }, async (db) => {
    await services.estate.putRepository(db, { name, entry, secrets, repositoryId }, false);
    return viewRepository(await services.estate.getRepository(name, db), secrets);
  });
  services.control.poke();
  return view;
}

/** What is left out stays. @throws REQUEST_INVALID if that cannot be opened */
function secretsAfter(
  { password, environment }: RepositoryChange,
  kept: RepositorySecrets | undefined,
): RepositorySecrets {
  const secret = password ?? kept?.password;
  if (secret === undefined) {
    throw fieldError([
      { path: ['password'], message: 'is needed: the one that is kept cannot be opened' },
    ]);
  }
  return {
    password: secret,
    environment: environment ? defined(environment) : (kept?.environment ?? {}),
  };
}

/** Opens the repository before it is stored, so that what cannot work is not there. @throws REQUEST_INVALID, naming the field */
async function attach(
  services: Services,
  asked: {
    readonly name: string;
    readonly entry: RepositorySettings;
    readonly secrets: RepositorySecrets;
    readonly create: boolean;
  },
): Promise<{ readonly repositoryId: string; readonly isNew: boolean }> {
  const { name, entry, secrets, create } = asked;
  const task = { name, entry: entryOf(name, entry, secrets), mayCreate: create };
  try {
    return await services.repositories.attach(task, secretVariables(name, secrets));
  } catch (error) {
    // What may pass is no fault of the request.
    if (!isHoldfastError(error) || error.row.retry === 'later') throw error;
    const { code, message } = error;
    if (['CANCELLED', 'WORKER_FAILED', 'ASSERTION_FAILED'].includes(code)) throw error;
    const path = code === 'PASSWORD_WRONG' ? ['password'] : ['entry', 'location'];
    const hint = code === 'REPOSITORY_NOT_FOUND' ? ' ("create" makes one)' : '';
    throw fieldError([{ path, message: `${message}${hint}` }]);
  }
}

function defined(
  values: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const entries = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

/** Views of repositories, of whose stored secrets they tell the names. */
function storedViewer({ estate }: Services): (row: RepositoryRow) => RepositoryView {
  return (row) => viewRepository(row, estate.openSecrets(row));
}

function viewRepository(
  row: RepositoryRow,
  secrets: RepositorySecrets | undefined,
): RepositoryView {
  return {
    ...viewSource(row),
    'repository-id': row.repository_id,
    secrets: secrets ? ['password', ...Object.keys(secrets.environment)] : [],
    ...(secrets ? {} : { problem: 'its secrets cannot be opened: give them anew' }),
  };
}

function viewPolicy(row: NamedRow): PolicyView {
  return { ...viewSource(row), sentences: policySentences(storedJson<Policy>(row.entry)) };
}

function viewSource({ name, entry, created_ms, changed_ms }: NamedRow): SourceView {
  return {
    name,
    entry: storedJson<Record<string, unknown>>(entry),
    created: timeText(created_ms),
    changed: timeText(changed_ms),
  };
}
