import type { Clock, Timer } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import { appendFile } from '../storage/local/files.ts';
import { logLineCountMax, logWriteMs } from './limits.ts';

/** What is told of a request. */
export interface LoggedRequest {
  readonly address: string;
  /** Who it was from, once that was verified: what others send as a name may be a password. */
  readonly user: string | undefined;
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly status: number;
  readonly sizeBytes: number;
  readonly agent: string | undefined;
}

/** Permissions of a log: its lines say who keeps backups here. */
const logMode = 0o640;
const textLengthMax = 256;

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** A request as a line of the "combined" format of web servers. Nothing in it is secret, and nothing forges a line. */
export function logLine(request: LoggedRequest, wallMs: number): string {
  const { address, user, method, httpVersion, status, sizeBytes, agent } = request;
  const line = quoted(`${method} ${shownUrl(request.url)} HTTP/${httpVersion}`);
  const who = `${address || '-'} - ${user ?? '-'}`;
  return `${who} [${logTime(wallMs)}] ${line} ${status} ${sizeBytes} "-" ${quoted(agent ?? '-')}`;
}

/** The path. Of what may follow it only what the protocol has: others may put there what they want. */
function shownUrl(url: string): string {
  const [path = '', query] = url.split('?', 2);
  return query === undefined ? path : `${path}?${query === 'create=true' ? query : '...'}`;
}

function quoted(text: string): string {
  const short = text.length > textLengthMax ? `${text.slice(0, textLengthMax)}...` : text;
  return `"${harmlessLine(short).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function logTime(wallMs: number): string {
  const iso = new Date(wallMs).toISOString();
  const [year, month = '', day] = iso.slice(0, 10).split('-');
  return `${day}/${months[Number(month) - 1]}/${year}:${iso.slice(11, 19)} +0000`;
}

/** What an `AccessLog` works with. */
export interface AccessLogOptions {
  /** Where the lines go: a file, or a function that prints them. */
  readonly target: string | ((line: string) => void);
  readonly clock: Clock;
  readonly tell: (text: string) => void;
}

/**
 * Writes a line for each request. A file is opened anew each half a second that has lines, so that it can be renamed or removed at
 * any time. A log that cannot be written holds up no backup: its lines are dropped, and that is told.
 */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #timer: Timer;
  #lines: string[] = [];
  #droppedCount = 0;
  #isFailing = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: AccessLogOptions) {
    this.#options = options;
    this.#timer = options.clock.every(logWriteMs, () => void this.flush());
  }

  add(request: LoggedRequest): void {
    const { target, clock } = this.#options;
    const line = logLine(request, clock.wallMs());
    if (typeof target === 'function') target(line);
    else if (this.#lines.length < logLineCountMax) this.#lines.push(line);
    else this.#droppedCount++;
  }

  /** Writes what is there. Never throws. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async close(): Promise<void> {
    this.#timer.stop();
    await this.flush();
  }

  async #write(): Promise<void> {
    const { target, tell } = this.#options;
    if (typeof target === 'function' || this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    try {
      await appendFile(target, lines.map((line) => `${line}\n`).join(''), { mode: logMode });
      if (this.#isFailing)
        tell(`the log is written again; ${this.#droppedCount} lines are missing`);
      this.#isFailing = false;
      this.#droppedCount = 0;
    } catch (error) {
      this.#droppedCount += lines.length;
      if (!this.#isFailing) tell(`the log cannot be written: ${describeError(error)}`);
      this.#isFailing = true;
    }
  }
}
