import type { Estate } from './estate.ts';

/** Something that is wrong with one field. */
export interface FieldProblem {
  /** Keys and places from the root to the field. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Names of an estate that lead nowhere, or twice to the same. */
export function referenceProblems(estate: Estate): FieldProblem[] {
  const hooks = (estate['on-failure'] ?? []).flatMap((hook, i) =>
    missing(estate.hooks ?? {}, hook, { path: ['on-failure', i], what: 'hook' }),
  );
  return [...policyProblems(estate), ...sourceProblems(estate), ...hooks];
}

function policyProblems(estate: Estate): FieldProblem[] {
  return Object.entries(estate.policies).flatMap(([name, policy]) => {
    const at = ['policies', name];
    const problems = missing(estate.repositories, policy.repository, {
      path: [...at, 'repository'],
      what: 'repository',
    });
    const seen = new Set([policy.repository]);
    for (const [i, { repository }] of (policy.copies ?? []).entries()) {
      const path = [...at, 'copies', i, 'repository'];
      problems.push(...missing(estate.repositories, repository, { path, what: 'repository' }));
      if (seen.has(repository)) {
        problems.push({ path, message: `the repository "${repository}" is there twice` });
      }
      seen.add(repository);
    }
    return problems;
  });
}

function sourceProblems(estate: Estate): FieldProblem[] {
  return Object.entries(estate.sources).flatMap(([name, source]) => {
    const at = ['sources', name];
    const problems = missing(estate.policies, source.policy, {
      path: [...at, 'policy'],
      what: 'policy',
    });
    if (name in estate.repositories) {
      problems.push({ path: at, message: `a repository has the name "${name}", too` });
    }
    for (const kind of ['before', 'after', 'on-failure'] as const) {
      for (const [i, hook] of (source.hooks?.[kind] ?? []).entries()) {
        const path = [...at, 'hooks', kind, i];
        problems.push(...missing(estate.hooks ?? {}, hook, { path, what: 'hook' }));
      }
    }
    return problems;
  });
}

function missing(
  known: Readonly<Record<string, unknown>>,
  name: string,
  where: { readonly path: readonly (string | number)[]; readonly what: string },
): FieldProblem[] {
  if (Object.hasOwn(known, name)) return [];
  return [{ path: where.path, message: `there is no ${where.what} "${name}"` }];
}
