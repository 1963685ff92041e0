import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { HoldfastError } from '../../base/errors.ts';
import { variablesForOthers } from './run-to-end.ts';
import type { Transport } from './sftp-session.ts';

const errorsLengthMax = 2000;

/**
 * Starts a program that speaks SFTP on its input and output, such as `ssh … -s sftp` or an `sftp-server`.
 *
 * @param words the program and its arguments; no shell is run
 */
export function openCommandTransport(words: readonly string[]): Transport {
  const [program = '', ...args] = words;
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: variablesForOthers(),
    windowsHide: true,
  });
  const errors = keepEnd(child);
  const reason = (): Error | undefined => {
    const said = [describeEnd(child), errors()].filter((text) => text !== '');
    return said.length > 0 ? new Error(`${program}: ${said.join(', ')}`) : undefined;
  };
  // Who says no more is told so, and ends; then it is known how.
  child.stdout.once('end', () => child.stdin.destroy());
  return {
    input: child.stdout,
    output: child.stdin,
    beforeWrite: () => {},
    onEnd: (listener) => {
      child.once('error', (cause) => listener(notStarted(program, cause)));
      child.once('close', () => listener(reason()));
    },
    close: () => {
      child.stdin.destroy();
      child.kill();
    },
  };
}

function describeEnd({ signalCode, exitCode }: ChildProcess): string {
  if (signalCode) return `it was ended by ${signalCode}`;
  return exitCode === null ? '' : `it ended with status ${exitCode}`;
}

function notStarted(program: string, cause: Error): HoldfastError {
  return new HoldfastError('USAGE', {
    message: 'the program of the option "sftp.command" cannot be started',
    details: { program },
    cause,
  });
}

/** The last that the program says for people. */
function keepEnd(child: ChildProcessByStdio<Writable, Readable, Readable>): () => string {
  let text = '';
  child.stderr.on('data', (part: Buffer) => {
    text = (text + part.toString()).slice(-errorsLengthMax);
  });
  return () =>
    text
      .trim()
      .split(/\s*\n\s*/)
      .join('; ');
}
