import { spawn } from 'node:child_process';

import { cancelled } from '../../base/abort.ts';
import { systemCode } from '../../base/errors.ts';

/** What a program has said, at most 1 MiB each, and how it ended. */
export interface EndedRun {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

const outputLengthMax = 1 << 20;

/**
 * What other programs get of our variables: no password of a repository, and nothing else that is meant for this program.
 */
export function variablesForOthers(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^(RESTIC|HOLDFAST)_/.test(name)));
}

/** Runs a program without a shell and without input. @returns undefined if there is no such program */
export function runToEnd(
  program: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<EndedRun | undefined> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: variablesForOthers(),
    windowsHide: true,
    ...(signal && { signal }),
  });
  const texts = { output: '', errors: '' };
  const keep = (which: 'output' | 'errors') => (part: Buffer) => {
    if (texts[which].length < outputLengthMax) texts[which] += part.toString();
  };
  child.stdout.on('data', keep('output'));
  child.stderr.on('data', keep('errors'));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      if (systemCode(error) === 'ENOENT') resolve(undefined);
      else reject(signal?.aborted ? cancelled(signal) : error);
    });
    child.once('close', (exitCode) => resolve({ exitCode, ...texts }));
  });
}
