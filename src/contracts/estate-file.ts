import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  stringify,
} from 'yaml';
import type { z } from 'zod';
import { type Estate, estateSchema } from './estate.ts';
import { type FieldProblem, referenceProblems } from './estate-references.ts';

/** Something that is wrong with an estate file, and where. */
export interface EstateProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `policies.silver.backup.every`; empty for the file as a whole. */
  readonly field: string;
  readonly message: string;
}

/** An estate, or what is wrong with the text: at least one problem. */
export type ParsedEstate =
  | { readonly estate: Estate }
  | { readonly problems: readonly EstateProblem[] };

/** Characters of an estate file at most. */
const textSizeMax = 4 * 1024 * 1024;

/** Aliases that one file may use; they are what makes a small text large. */
const aliasCountMax = 1000;

/**
 * Reads an estate file: YAML 1.2, of which JSON is a part. Tells everything that is wrong at once.
 *
 * @param check what else must hold of an estate whose form is right
 */
export function parseEstate(
  text: string,
  check?: (estate: Estate) => readonly FieldProblem[],
): ParsedEstate {
  if (text.length > textSizeMax) return failure('the file is larger than 4 MiB');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, strict: true, uniqueKeys: true });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    const problems = broken.map(({ pos, message }) => ({
      ...placeOf(lines, pos[0]),
      field: '',
      message: firstLine(message),
    }));
    return { problems };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasCountMax });
  } catch (error) {
    // The package has no codes; its only other failure here is an alias of nothing.
    const isTooOften = error instanceof Error && error.message.startsWith('Excessive alias count');
    return failure(
      isTooOften
        ? 'the file refers to parts of itself too often'
        : 'the file refers by "*" to a part that is not there',
    );
  }
  const parsed = parseEstateValue(value, check);
  if ('estate' in parsed) return parsed;
  const problems = parsed.problems.map(({ path, message }) => {
    const offset = offsetOf(document.contents, path);
    return { ...placeOf(lines, offset), field: path.join('.'), message };
  });
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

/** The text of an estate file; `parseEstate` reads it back. */
export function formatEstate(estate: Estate): string {
  return stringify(estate, { lineWidth: 100 });
}

/** As `parseEstate`, of a value that was decoded already. */
export function parseEstateValue(
  value: unknown,
  check: (estate: Estate) => readonly FieldProblem[] = () => [],
): { readonly estate: Estate } | { readonly problems: readonly FieldProblem[] } {
  const result = estateSchema.safeParse(value, { reportInput: true });
  if (!result.success) return { problems: fieldProblems(result.error.issues) };
  const problems = [...referenceProblems(result.data), ...check(result.data)];
  return problems.length === 0 ? { estate: result.data } : { problems };
}

/** Issues of a schema as problems of fields, in words for people. */
export function fieldProblems(issues: readonly z.core.$ZodIssue[]): FieldProblem[] {
  return issues.flatMap((issue): FieldProblem[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `there is no field "${key}" here`,
      }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => ({ path, message: `the name ${message}` }));
    }
    return [{ path, message: messageOf(issue) }];
  });
}

function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.input === undefined) return 'is missing';
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    }
    case 'invalid_value':
      return `must be ${issue.values
        .map(String)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')}`;
    case 'too_small':
      return `must ${issue.origin === 'string' || issue.origin === 'array' ? 'have' : 'be'} at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must ${issue.origin === 'string' || issue.origin === 'array' ? 'have' : 'be'} at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_union':
      if (issue.discriminator !== undefined)
        return 'must be a kind that there is: files or stdin-command';
      return issue.message;
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'unrecognized_keys':
    case 'not_multiple_of':
    case 'custom':
      return issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text (put it in quotes)',
  array: 'a list, such as [ … ]',
  object: 'a group of fields',
  record: 'a group of names',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
};

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' entries' : '';
}

function failure(message: string): ParsedEstate {
  return { problems: [{ line: 1, column: 1, field: '', message }] };
}

/** The parser adds a picture of the place below its message. */
function firstLine(message: string): string {
  const [line = ''] = message.split('\n');
  return line.replace(/ at line \d+, column \d+:?$/, '');
}

function placeOf(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** Where the field begins, or, of one that is missing, what it should be in. */
function offsetOf(root: Node | null, path: readonly (string | number)[]): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    const [key, value] = childOf(node, part);
    const range = rangeOf(key) ?? rangeOf(value);
    if (range === undefined) return offset;
    offset = range;
    node = value;
  }
  return offset;
}

/** The key and the value of a part of a map or list; nothing if it is not there. */
function childOf(node: unknown, part: string | number): readonly [unknown, unknown] {
  if (isSeq(node)) return [undefined, node.items[Number(part)]];
  if (!isMap(node)) return [undefined, undefined];
  const pair = node.items.find(
    (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
  );
  return [pair?.key, pair?.value];
}

function rangeOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  const { range } = node;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined;
}
