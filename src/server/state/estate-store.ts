import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { randomBytes } from '../../base/random.ts';
import type { Estate } from '../../contracts/estate.ts';
import { type FieldProblem, referenceProblems } from '../../contracts/estate-references.ts';
import type { Policy } from '../../contracts/policy.ts';
import type { RepositoryEntry } from '../../contracts/repository-entry.ts';
import type { RepositorySettings } from '../../contracts/repository-request.ts';
import type { SourceEntry } from '../../contracts/source-entry.ts';
import { meaningProblems } from '../../policy/meaning.ts';
import { storedJson } from './json.ts';
import type { Sealer } from './seal.ts';
import type { State } from './state.ts';
import type { NamedRow, Queries, RepositoryRow } from './tables.ts';

/** What the estate consists of, by the names of its tables. */
export type EstateKind = 'repositories' | 'policies' | 'sources';

/** What of a repository nobody but a run may see. */
export interface RepositorySecrets {
  readonly password: string;
  /** Of its store, by the names of their variables. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A place in a list that is read page by page. */
export interface Page<K = string> {
  readonly after: K | undefined;
  readonly limit: number;
}

const revisionName = 'estate-revision';

/** Repositories, policies and sources. What changes them is done in a transaction of the caller's, with its audit record. */
export class EstateStore {
  readonly #state: State;
  readonly #sealer: Sealer;

  constructor(state: State, sealer: Sealer) {
    this.#state = state;
    this.#sealer = sealer;
  }

  /** One page, by name. */
  async list(kind: EstateKind, { after = '', limit }: Page): Promise<NamedRow[]> {
    return this.#state.db
      .selectFrom(kind)
      .selectAll()
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit)
      .execute();
  }

  /** @throws NOT_THERE */
  async get(kind: EstateKind, name: string, db: Queries = this.#state.db): Promise<NamedRow> {
    const row = await db.selectFrom(kind).selectAll().where('name', '=', name).executeTakeFirst();
    if (row) return row;
    throw new HoldfastError('NOT_THERE', {
      message: `there is no ${singular[kind]} ${JSON.stringify(name)}`,
    });
  }

  /** As `list`, with what repositories have besides. */
  listRepositories({ after = '', limit }: Page): Promise<RepositoryRow[]> {
    return this.#state.db
      .selectFrom('repositories')
      .selectAll()
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit)
      .execute();
  }

  /** @throws NOT_THERE */
  async getRepository(name: string, db: Queries = this.#state.db): Promise<RepositoryRow> {
    const row = await db
      .selectFrom('repositories')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst();
    if (row) return row;
    throw new HoldfastError('NOT_THERE', {
      message: `there is no repository ${JSON.stringify(name)}`,
    });
  }

  /** @throws SECRET_NOT_OPENED */
  secretsOf({ name, secrets }: Pick<RepositoryRow, 'name' | 'secrets'>): RepositorySecrets {
    return storedJson(this.#sealer.open(secrets, placeOf(name)));
  }

  /** As `secretsOf`; undefined if they cannot be opened. */
  openSecrets(row: Pick<RepositoryRow, 'name' | 'secrets'>): RepositorySecrets | undefined {
    try {
      return this.secretsOf(row);
    } catch (error) {
      if (isHoldfastError(error, 'SECRET_NOT_OPENED')) return undefined;
      throw error;
    }
  }

  /** Adds a repository that was opened, or changes one. @throws STATE_CONFLICT if `isNew` and it is there */
  async putRepository(
    db: Queries,
    repository: {
      readonly name: string;
      readonly entry: RepositorySettings;
      readonly secrets: RepositorySecrets;
      readonly repositoryId: string;
    },
    isNew: boolean,
  ): Promise<void> {
    await this.#bump(db);
    const { name, entry, secrets, repositoryId } = repository;
    const values = {
      entry: JSON.stringify(entry),
      secrets: this.#sealer.seal(JSON.stringify(secrets), placeOf(name)),
      repository_id: repositoryId,
      changed_ms: this.#nowMs(),
    };
    if (isNew) {
      if (await exists(db, 'repositories', name)) throw isThere('repositories', name);
      const same = await db
        .selectFrom('repositories')
        .select('name')
        .where('repository_id', '=', repositoryId)
        .executeTakeFirst();
      if (same) {
        throw new HoldfastError('STATE_CONFLICT', {
          message: `it is the same repository as ${JSON.stringify(same.name)}`,
        });
      }
      const row = { name, created_ms: values.changed_ms, ...values };
      await db.insertInto('repositories').values(row).execute();
    } else {
      await db.updateTable('repositories').set(values).where('name', '=', name).execute();
    }
  }

  /** Adds or changes a policy or source. @throws STATE_CONFLICT if `isNew` and it is there; REQUEST_INVALID for names that lead nowhere */
  async put(
    db: Queries,
    change: {
      readonly kind: 'policies' | 'sources';
      readonly name: string;
      readonly entry: unknown;
    },
    isNew: boolean,
  ): Promise<void> {
    await this.#bump(db);
    const { kind, name } = change;
    const problems = await this.#problemsOf(db, change);
    if (problems.length > 0) throw fieldError(problems.slice(0, problemsToldMax));
    const values = { entry: JSON.stringify(change.entry), changed_ms: this.#nowMs() };
    const isHere = await exists(db, kind, name);
    if (isNew && isHere) throw isThere(kind, name);
    if (!isNew && !isHere) await this.get(kind, name, db);
    if (isNew) {
      const row = { name, created_ms: values.changed_ms, ...values };
      await db.insertInto(kind).values(row).execute();
    } else {
      await db.updateTable(kind).set(values).where('name', '=', name).execute();
    }
  }

  /** @throws NOT_THERE; STATE_CONFLICT if something uses it */
  async remove(db: Queries, kind: EstateKind, name: string): Promise<void> {
    await this.#bump(db);
    await this.get(kind, name, db);
    const users = await usersOf(db, kind, name);
    if (users.length > 0) {
      throw new HoldfastError('STATE_CONFLICT', {
        message: `the ${singular[kind]} is used by ${users.slice(0, 5).join(', ')}`,
      });
    }
    await db.deleteFrom(kind).where('name', '=', name).execute();
  }

  /** Changes with every change of the estate. */
  async revision(db: Queries = this.#state.db): Promise<string> {
    const row = await db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', revisionName)
      .executeTakeFirst();
    return row?.value ?? '0';
  }

  /**
   * The whole of it, as runs know it. In place of secrets it has the names of variables, which `variablesFor` gives.
   */
  async load(db: Queries = this.#state.db): Promise<Estate> {
    const [repositories, policies, sources] = await Promise.all([
      db.selectFrom('repositories').selectAll().execute(),
      db.selectFrom('policies').selectAll().execute(),
      db.selectFrom('sources').selectAll().execute(),
    ]);
    return {
      version: 1,
      repositories: Object.fromEntries(
        repositories.map((row) => [
          row.name,
          entryOf(row.name, storedJson(row.entry), this.openSecrets(row) ?? noSecrets),
        ]),
      ),
      policies: Object.fromEntries(
        policies.map(({ name, entry }) => [name, storedJson<Policy>(entry)]),
      ),
      sources: Object.fromEntries(
        sources.map(({ name, entry }) => [name, storedJson<SourceEntry>(entry)]),
      ),
    };
  }

  /** One repository as runs know it. @throws NOT_THERE, SECRET_NOT_OPENED */
  async entryOf(name: string): Promise<RepositoryEntry> {
    const row = await this.getRepository(name);
    return entryOf(name, storedJson(row.entry), this.secretsOf(row));
  }

  /** The variables that hold the secrets of some repositories. @throws NOT_THERE, SECRET_NOT_OPENED */
  async variablesFor(names: readonly string[]): Promise<Record<string, string>> {
    const variables: Record<string, string> = {};
    for (const name of names) {
      const row = await this.getRepository(name);
      Object.assign(variables, secretVariables(name, this.secretsOf(row)));
    }
    return variables;
  }

  async #problemsOf(
    db: Queries,
    {
      kind,
      name,
      entry,
    }: { readonly kind: 'policies' | 'sources'; readonly name: string; readonly entry: unknown },
  ): Promise<FieldProblem[]> {
    const estate = await this.load(db);
    const changed: Estate = {
      version: 1,
      repositories: estate.repositories,
      policies: kind === 'policies' ? { [name]: entry as Policy } : estate.policies,
      sources: kind === 'sources' ? { [name]: entry as SourceEntry } : {},
    };
    const problems = [
      ...referenceProblems(changed),
      ...(kind === 'policies' ? meaningProblems(changed, this.#nowMs()) : []),
    ];
    // What others had wrong before is not this change's.
    return problems
      .filter(({ path }) => path[0] === kind && path[1] === name)
      .map(({ path, message }) => ({
        path: ['entry', ...path.slice(2)],
        message,
      }));
  }

  /** Comes first in a change: on PostgreSQL the row is held from here on, so that changes follow one another. */
  async #bump(db: Queries): Promise<void> {
    const next = Buffer.from(randomBytes(this.#state.environment.random, 8)).toString('hex');
    await db
      .insertInto('settings')
      .values({ name: revisionName, value: next })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: next }))
      .execute();
  }

  #nowMs(): number {
    return this.#state.environment.clock.wallMs();
  }
}

/** Of a repository whose secrets cannot be opened: its runs fail, and those of others go on. */
const noSecrets: RepositorySecrets = { password: '', environment: {} };

/** Problems of one request that are told. */
const problemsToldMax = 100;

const singular: Readonly<Record<EstateKind, string>> = {
  repositories: 'repository',
  policies: 'policy',
  sources: 'source',
};

function placeOf(name: string): string {
  return `repositories/${name}/secrets`;
}

function isThere(kind: EstateKind, name: string): HoldfastError {
  return new HoldfastError('STATE_CONFLICT', {
    message: `there is a ${singular[kind]} ${JSON.stringify(name)} already`,
  });
}

async function exists(db: Queries, kind: EstateKind, name: string): Promise<boolean> {
  const row = await db.selectFrom(kind).select('name').where('name', '=', name).executeTakeFirst();
  return row !== undefined;
}

/** What would lose something by its removal. */
async function usersOf(db: Queries, kind: EstateKind, name: string): Promise<string[]> {
  if (kind === 'sources') return [];
  if (kind === 'policies') {
    const sources = await db.selectFrom('sources').select(['name', 'entry']).execute();
    return sources
      .filter(({ entry }) => storedJson<SourceEntry>(entry).policy === name)
      .map((source) => `source ${JSON.stringify(source.name)}`);
  }
  const policies = await db.selectFrom('policies').select(['name', 'entry']).execute();
  return policies
    .filter(({ entry }) => {
      const { repository, copies = [] } = storedJson<Policy>(entry);
      return [repository, ...copies.map((copy) => copy.repository)].includes(name);
    })
    .map((policy) => `policy ${JSON.stringify(policy.name)}`);
}

/** The variable that holds a secret of a repository; names have characters that variables have not. */
function variableOf(name: string, what: string): string {
  return `HOLDFAST_SECRET_${Buffer.from(name).toString('hex')}_${what}`;
}

/** The entry of a repository as runs know it. */
export function entryOf(
  name: string,
  settings: RepositorySettings,
  { environment }: RepositorySecrets,
): RepositoryEntry {
  const variables = Object.keys(environment).map(
    (variable) => [variable, { variable: variableOf(name, variable) }] as const,
  );
  return {
    ...settings,
    'password-variable': variableOf(name, 'password'),
    environment: Object.fromEntries(variables),
  };
}

/** What the variables of `entryOf` hold. */
export function secretVariables(
  name: string,
  { password, environment }: RepositorySecrets,
): Record<string, string> {
  const own = Object.entries(environment).map(
    ([variable, value]) => [variableOf(name, variable), value] as const,
  );
  return { [variableOf(name, 'password')]: password, ...Object.fromEntries(own) };
}

/** An error that names the fields that are wrong. */
export function fieldError(problems: readonly FieldProblem[]): HoldfastError {
  return new FieldError(problems);
}

/** A request with fields that are wrong. Nothing was changed. */
export class FieldError extends HoldfastError {
  readonly problems: readonly FieldProblem[];

  constructor(problems: readonly FieldProblem[]) {
    const [first] = problems;
    super('REQUEST_INVALID', {
      message: first
        ? `${first.path.join('.') || 'the body'}: ${first.message}`
        : 'the request is not valid',
    });
    this.problems = problems;
  }
}
