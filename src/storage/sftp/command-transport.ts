import { type ChildProcessByStdio, spawn } from 'node:child_process';
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
  let failure: Error | undefined;
  child.once('error', (cause) => {
    failure = new HoldfastError('USAGE', {
      message: 'the program of the option "sftp.command" cannot be started',
      details: { program },
      cause,
    });
    child.stdout.destroy(failure);
  });
  const ended = (): string | undefined => {
    if (child.signalCode) return `it was ended by ${child.signalCode}`;
    return child.exitCode === null ? undefined : `it ended with status ${child.exitCode}`;
  };
  return {
    input: child.stdout,
    output: child.stdin,
    beforeWrite: () => {},
    reason: () => {
      const said = [ended(), errors()].filter((text) => text !== undefined && text !== '');
      return failure ?? (said.length > 0 ? new Error(`${program}: ${said.join(', ')}`) : undefined);
    },
    close: () => {
      child.stdin.destroy();
      child.kill();
    },
  };
}

/** The last that the program says for people. */
function keepEnd(child: ChildProcessByStdio<Writable, Readable, Readable>): () => string {
  let text = '';
  child.stderr.on('data', (part: Buffer) => {
    text = (text + part.toString()).slice(-errorsLengthMax);
  });
  return () => text.trim().split(/\s*\n\s*/).join('; ');
}
