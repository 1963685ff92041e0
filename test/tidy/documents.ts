import { type Finding, finding } from './rule.ts';

/** Rows of the source that the document lacks, and rows of the document that the source lacks. */
export function compareErrors(document: string, expected: readonly string[]): Finding[] {
  const lines = document.split('\n').map((line) => line.replaceAll(/ +/g, ' ').trim());
  const listed = lines.filter((line) => /^\| `[A-Z_]+` \|/.test(line));
  const path = 'docs/ERRORS.md';
  return [
    ...expected
      .filter((line) => !listed.includes(line))
      .map((line) => finding(path, 1, `lacks the row ${line}`)),
    ...listed
      .filter((line) => !expected.includes(line))
      .map((line) => finding(path, lines.indexOf(line) + 1, `no code has the row ${line}`)),
  ];
}

/** Codes of the table that no file outside it uses. */
export function unusedCodes(table: readonly string[], text: string): Finding[] {
  return table
    .filter((code) => !text.includes(`'${code}'`))
    .map((code) => finding('src/base/errors.ts', 1, `nothing throws or expects ${code}`));
}

/** The parts of package.json that a document explains. */
export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Dependencies that `docs/DEPENDENCIES.md` does not explain, and explanations of what is none.
 * A runtime dependency has a heading `### name` and lines on what for, what else and how replaced; others a row.
 */
export function compareDependencies(document: string, manifest: Manifest): Finding[] {
  const path = 'docs/DEPENDENCIES.md';
  const runtime = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  const development = Object.keys(manifest.devDependencies ?? {});
  const sections = sectionsOf(document);
  const rows = [...document.matchAll(/^\| `([^`]+)` +\|/gm)].map((match) => match[1] ?? '');
  return [
    ...difference(runtime, [...sections.keys()]).map((name) => `${name} has no section`),
    ...difference([...sections.keys()], runtime).map((name) => `${name} is no dependency`),
    ...difference(development, rows).map((name) => `${name} has no row`),
    ...difference(rows, development).map((name) => `${name} is no development dependency`),
    ...[...sections].flatMap(([name, text]) => missingParts(name, text)),
  ].map((what) => finding(path, 1, what));
}

/** Text below each heading `### name`. */
function sectionsOf(document: string): Map<string, string> {
  const parts = document.split(/^### /m).slice(1);
  return new Map(
    parts.map((part) => {
      const [name = '', ...text] = part.split('\n');
      return [name.trim(), text.join('\n')];
    }),
  );
}

function missingParts(name: string, text: string): string[] {
  return ['What for', 'Considered', 'Replaced by']
    .filter((part) => !text.includes(`**${part}:**`))
    .map((part) => `${name} does not say "${part}"`);
}

function difference(all: readonly string[], known: readonly string[]): string[] {
  return all.filter((name) => !known.includes(name));
}
