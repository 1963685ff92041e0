import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cancelled } from '../base/abort.ts';
import { HoldfastError, systemCode } from '../base/errors.ts';
import { decodeText, trimText } from './text-file.ts';

/** Most bytes that are taken from a password command. */
const outputSizeBytesMax = 1024 * 1024;

/**
 * Runs a program whose output is a password. No shell is involved. Messages name the program only: its arguments may be
 * secret.
 *
 * @throws COMMAND_FAILED, CANCELLED
 */
export async function runPasswordCommand(
  [program = '', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (): void => {
    child.kill();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const closed = once(child, 'close');
    // The error is awaited below; a failing read must not leave it unhandled.
    closed.catch(() => undefined);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      sizeBytes += chunk.byteLength;
      if (sizeBytes > outputSizeBytesMax) throw failed(program, 'prints too much');
    }
    const [code, killedBy] = (await closed) as [number | null, string | null];
    if (signal.aborted) throw cancelled(signal);
    if (code !== 0)
      throw failed(
        program,
        killedBy ? `was ended by ${killedBy}` : `failed with exit code ${code}`,
      );
    return trimText(decodeText(Buffer.concat(chunks)));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw failed(program, 'was not found');
    if (systemCode(error) === 'EACCES') throw failed(program, 'may not be executed');
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
}

function failed(program: string, what: string): HoldfastError {
  return new HoldfastError('COMMAND_FAILED', {
    message: `the password command ${JSON.stringify(program)} ${what}`,
  });
}
