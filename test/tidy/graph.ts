import { type Finding, finding } from './rule.ts';
import type { SourceFile } from './source-file.ts';

/** Files that import each other in a circle, types included: none can be understood or tested alone. */
export function importCycles(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const state = new Map<string, 'open' | 'done'>();
  const found: Finding[] = [];
  const chain: string[] = [];
  const enter = (file: SourceFile): void => {
    state.set(file.path, 'open');
    chain.push(file.path);
    for (const next of importsOf(file)) {
      const target = byPath.get(next);
      if (target && state.get(next) === undefined) enter(target);
      else if (state.get(next) === 'open') found.push(describeCycle(chain, next));
    }
    chain.pop();
    state.set(file.path, 'done');
  };
  for (const file of files) if (state.get(file.path) === undefined) enter(file);
  return found;
}

/** Imports that are needed to load or check the file; one at run time (a command's action) may lead back. */
function importsOf(file: SourceFile): string[] {
  return file.references
    .filter(({ kind }) => kind === 'value' || kind === 'type')
    .map(({ target }) => target);
}

function describeCycle(chain: readonly string[], back: string): Finding {
  const circle = chain.slice(chain.indexOf(back));
  return finding(back, 1, `imports itself in a circle: ${[...circle, back].join(' -> ')}`);
}

/** What else starts files: the text of package.json and of shell scripts. */
export interface Starts {
  readonly entries: readonly string[];
  /** Text that names files it starts, like `node scripts/build.mjs`. */
  readonly text: string;
}

/** Files that neither an entry nor a test reaches: dead. */
export function deadFiles(files: readonly SourceFile[], starts: Starts): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const waiting = files.filter(({ path }) => isStart(path, starts));
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    if (reached.has(file.path)) continue;
    reached.add(file.path);
    for (const { target } of file.references) {
      const next = byPath.get(target) ?? byPath.get(target.replace(/\.js$/, '.ts'));
      if (next) waiting.push(next);
    }
  }
  return files
    .filter(({ path }) => !reached.has(path))
    .map((file) => finding(file, 1, 'no entry point and no test reaches this file'));
}

function isStart(path: string, starts: Starts): boolean {
  return path.endsWith('.test.ts') || starts.entries.includes(path) || starts.text.includes(path);
}
