import type { SourceFile } from './source-file.ts';

/** What a rule found: `path:line: what is wrong and what to do`. */
export type Finding = string;

/** A rule over all source files. */
export type Rule = (files: readonly SourceFile[]) => Finding[];

/** Writes a finding. */
export function finding(file: SourceFile | string, line: number, what: string): Finding {
  return `${typeof file === 'string' ? file : file.path}:${line}: ${what}`;
}

/** Runs a rule. A rule that has nothing to look at does not hold: it is a finding of its own. */
export function hold<Item>(
  items: readonly Item[],
  rule: (items: readonly Item[]) => Finding[],
): Finding[] {
  return items.length === 0 ? ['the rule looked at nothing'] : rule(items);
}

/**
 * Findings that are not known, and known ones that are not there any more: the list only shrinks.
 * @param known old findings without the numbers of lines
 */
export function compareKnown(found: readonly Finding[], known: readonly string[]): Finding[] {
  const plain = (text: Finding): string => text.replace(/:\d+: /, ': ');
  const there = new Set(found.map(plain));
  const mended = known.filter((text) => !there.has(text));
  return [
    ...found.filter((text) => !known.includes(plain(text))),
    ...mended.map((text) => `test/tidy/offenders.json:1: is mended, remove its line: ${text}`),
  ];
}
