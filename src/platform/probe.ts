import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';

/** Longer paths are not where anything can be mounted. */
const pathSizeBytesMax = 4095;

/** Enters the directory whose escaped path is `$1` and reads its first name. */
const script = 'cd "$(printf "$1")" && ls -f . | head -n 1';

/**
 * Tells whether a directory answers within `timeoutMs`: a dead network mount or a hanging FUSE file system does not.
 * An error (no permission, nothing there) is an answer.
 *
 * A process of its own asks (about 3 ms), because a thread that hangs in the kernel would keep this process from ever
 * ending. Use it where a mount point is crossed, before the synchronous calls of this room.
 * @returns false if there was no answer, or `signal` aborted before it came; the one asked is then killed and forgotten
 */
export async function probeDirectory(
  path: Uint8Array,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  clock: Clock,
): Promise<boolean> {
  if (path.length > pathSizeBytesMax) return true;
  const question = process.platform === 'win32' ? askThread(path) : askProcess(path);
  const timer = new AbortController();
  const stop = (): void => timer.abort();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  const timeout = clock.sleep(timeoutMs, timer.signal).then(
    () => false,
    () => false,
  );
  const isAnswered = await Promise.race([question.answer, timeout]);
  timer.abort();
  signal?.removeEventListener('abort', stop);
  if (!isAnswered) question.abandon();
  return isAnswered;
}

interface Question {
  /** Resolves to true with the answer, whatever it is. */
  readonly answer: Promise<true>;
  abandon(): void;
}

function askProcess(path: Uint8Array): Question {
  const child = spawn('/bin/sh', ['-c', script, 'sh', escapePath(path)], {
    stdio: 'ignore',
    // A group of its own, so that what the shell started can be killed with it.
    detached: true,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
  });
  const answer = new Promise<true>((resolve) => {
    child.once('exit', () => resolve(true));
    // No shell to ask with: nothing is known against the directory.
    child.once('error', () => resolve(true));
  });
  const abandon = (): void => {
    child.unref();
    if (child.pid !== undefined) killGroup(child.pid);
  };
  return { answer, abandon };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended in this very moment.
  }
}

/** Windows has no shell to count on; a thread of Node's pool asks. */
function askThread(path: Uint8Array): Question {
  const answer = stat(Buffer.from(path)).then(
    () => true as const,
    () => true as const,
  );
  return { answer, abandon: () => {} };
}

/**
 * Every byte as `\ooo` for printf, so that any name survives the shell. `/.` at the end keeps a newline there from
 * being cut, and stands for the directory itself.
 */
function escapePath(path: Uint8Array): string {
  // A relative path must not look like an option of cd.
  const prefix = path[0] === 0x2f ? '' : './';
  const octal = Array.from(path, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  return `${prefix}${octal}/.`;
}
