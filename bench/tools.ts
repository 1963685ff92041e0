// The two programs that are compared, with everything that is not the same kept apart.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from './measure.ts';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** Of every repository. */
export const benchmarkPassword = 'benchmark';

/** Where repositories are, and how they are reached. */
export interface Place {
  /** For what belongs to it on this machine. */
  readonly folder: string;
  /** What both programs need to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  /** Of a repository, as both programs take it. */
  location(name: string): string;
  /** Removes a repository if it is there: at once, or by the commands. */
  empty(name: string): readonly Command[];
  /** How many requests came since it was asked before, where somebody counts. */
  readonly takeRequests?: () => number;
}

/** A program under test and its own repository and cache. */
export interface Tool {
  readonly name: 'holdfast' | 'restic';
  /** The repository, whatever the way to it: as a path, if it is in a folder of this machine. */
  readonly repository: string;
  /** Where it restores to. */
  readonly target: string;
  /**
   * Makes the repository: with the same program for both tools. How much work its key asks for is measured when it is made, and
   * restic measures another figure whenever the machine is a little busier, which then counts in every row.
   */
  init(): Command;
  command(...args: string[]): Command;
  /** Removes the repository: at once, or by the commands. */
  empty(): readonly Command[];
}

const programs = { holdfast: join(checkout, 'bin/holdfast'), restic: 'restic' } as const;

export function localPlace(folder: string): Place {
  return {
    folder,
    environment: {},
    flags: [],
    location: (name) => join(folder, name),
    empty: (name) => emptyFolder(join(folder, name)),
  };
}

export function makeTools(place: Place): { holdfast: Tool; restic: Tool } {
  return { holdfast: toolAt(place, 'holdfast'), restic: toolAt(place, 'restic') };
}

/** A program with a repository of its own. */
export function toolAt(place: Place, name: Tool['name'], repository = `${name}-repository`): Tool {
  const environment = {
    ...place.environment,
    RESTIC_REPOSITORY: place.location(repository),
    RESTIC_PASSWORD: benchmarkPassword,
    RESTIC_CACHE_DIR: join(place.folder, `${name}-cache`),
  };
  return {
    name,
    repository: join(place.folder, repository),
    target: join(place.folder, `${repository}-target`),
    init: () => ({ program: programs.holdfast, args: ['init', ...place.flags], environment }),
    command: (...args) => ({
      program: programs[name],
      args: [...args, ...place.flags],
      environment,
    }),
    empty: () => place.empty(repository),
  };
}

export function versionOf(name: Tool['name']): string {
  return execFileSync(programs[name], ['version'], { encoding: 'utf8' }).trim();
}

/** Removes a folder; there is nothing left to be run for it. */
export function emptyFolder(folder: string): readonly Command[] {
  rmSync(folder, { recursive: true, force: true });
  return [];
}

/** Bytes of all files below a folder. */
export function folderBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
