// The two programs that are compared, with everything that is not the same kept apart.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from './measure.ts';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** Of every repository. */
export const benchmarkPassword = 'benchmark';

/** A program under test and its own repository and cache. */
export interface Tool {
  readonly name: 'holdfast' | 'restic';
  readonly repository: string;
  /**
   * Makes the repository: with the same program for both tools. How much work its key asks for is measured when it is made, and
   * restic measures another figure whenever the machine is a little busier, which then counts in every row.
   */
  init(): Command;
  command(...args: string[]): Command;
  version(): string;
}

export function makeTools(folder: string): { holdfast: Tool; restic: Tool } {
  const holdfast = join(checkout, 'bin/holdfast');
  return {
    holdfast: tool('holdfast', holdfast, join(folder, 'holdfast-repository')),
    restic: resticAt(join(folder, 'restic-repository')),
  };
}

/** The official program with a repository. */
export function resticAt(repository: string): Tool {
  return tool('restic', 'restic', repository);
}

function tool(name: Tool['name'], program: string, repository: string): Tool {
  const init = join(checkout, 'bin/holdfast');
  const environment = {
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD: benchmarkPassword,
    RESTIC_CACHE_DIR: join(dirname(repository), `${name}-cache`),
  };
  return {
    name,
    repository,
    init: () => ({ program: init, args: ['init'], environment }),
    command: (...args) => ({ program, args, environment }),
    version: () => execFileSync(program, ['version'], { encoding: 'utf8' }).trim(),
  };
}

/** Removes a tool's repository and cache. */
export function reset(tool: Tool): void {
  rmSync(tool.repository, { recursive: true, force: true });
}

/** Bytes of all files below a folder. */
export function folderBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
