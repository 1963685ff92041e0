import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** All modules that are loaded before a command is known, from imports that are more than types. */
function loadedFrom(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  const imports = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^;]*?from\s+)?'([^']+)';/gm);
  for (const [, name = ''] of imports) {
    if (name.startsWith('.')) loadedFrom(resolve(dirname(file), name), seen);
    else seen.add(name);
  }
  return seen;
}

const source = resolve(import.meta.dirname, '..');

function heavy(file: string): string[] {
  const rooms = ['engine', 'repository', 'kernels', 'storage', 'platform', 'sources'];
  return [...loadedFrom(resolve(import.meta.dirname, file))]
    .map((path) => path.replace(`${source}/`, ''))
    .filter((path) => rooms.some((room) => path.startsWith(`${room}/`)) || /^[a-z-]+$/.test(path));
}

test('starting loads nothing but the command line and the base', () => {
  expect(heavy('main.ts')).toEqual([]);
  expect(heavy('commands/version.ts')).toEqual([]);
});

test('help and completion of all commands load nothing else either', () => {
  for (const name of ['describe.ts', 'completion/script.ts', 'registry.ts']) {
    expect(heavy(name), name).toEqual([]);
  }
});

test('the way to look finds what is there', () => {
  expect(heavy('session.ts')).toContain('repository/repository.ts');
});
