import { type Finding, finding, type Rule } from './rule.ts';
import type { SourceFile } from './source-file.ts';

/**
 * Operations of a room do not reach into each other. An operation is a folder with a file of its name, or of a name that
 * begins so: `check/` with `check.ts`, `repair/` with `repair-index.ts`. Folders without one are for all, and stand below the
 * operations.
 */
export function operationsApart(room: string): Rule {
  return (files) => {
    const own = files.filter(({ path }) => path.startsWith(`${room}/`) && !isOfTests(path));
    const names = own.map(({ path }) => path.slice(room.length + 1).split('/'));
    const entries = names.flatMap(([name, below]) => (name && below === undefined ? [name] : []));
    const operations = new Set(
      names.flatMap(([name, below]) =>
        name && below !== undefined && entries.some((entry) => isEntryOf(entry, name))
          ? [name]
          : [],
      ),
    );
    return own.flatMap((file) => reaches(file, room, operations));
  };
}

function reaches(file: SourceFile, room: string, operations: ReadonlySet<string>): Finding[] {
  const of = (
    path: string,
  ): { readonly operation: string | undefined; readonly isInside: boolean } => {
    const [name = '', below] = path.slice(room.length + 1).split('/');
    const operation = [...operations].find((each) =>
      below === undefined ? isEntryOf(name, each) : name === each,
    );
    return { operation, isInside: below !== undefined };
  };
  const from = of(file.path);
  return file.references
    .filter(({ kind, target }) => kind !== 'path' && target.startsWith(`${room}/`))
    .flatMap(({ target, line }) => {
      const to = of(target);
      const isOther = to.operation !== undefined && to.operation !== from.operation;
      // What an operation shows stands in its file, for files beside it.
      if (!isOther || (!from.isInside && !to.isInside)) return [];
      return [finding(file, line, `reaches into another operation: ${target}`)];
    });
}

function isEntryOf(file: string, operation: string): boolean {
  return file === `${operation}.ts` || (file.startsWith(`${operation}-`) && file.endsWith('.ts'));
}

function isOfTests(path: string): boolean {
  return path.endsWith('.test.ts') || path.endsWith('-test-support.ts');
}
