import type { Clock } from '../base/clock.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { readStatus } from '../platform/status.ts';
import { readWholeFile } from '../platform/whole-file.ts';
import { parseUsers, type UserEntry } from './htpasswd.ts';
import { userFileCheckMs, userFileSizeBytesMax } from './limits.ts';
import { Refusal } from './refusal.ts';

/** The text of a file of users. @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED */
export function readUserText(path: string): string {
  const bytes = readWholeFile(Buffer.from(path), { sizeBytesMax: userFileSizeBytesMax });
  return Buffer.from(bytes).toString('utf8');
}

/** Where users stand, and how changes are noticed and told. */
export interface UserFileOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Tells whoever runs the server. */
  readonly tell: (text: string) => void;
}

/** The users of a file, which is read again soon after it was changed. */
export class UserFile {
  readonly #options: UserFileOptions;
  #users: ReadonlyMap<string, UserEntry> = new Map();
  /** What the file looked like when it was read; undefined if it could not be. */
  #print: string | undefined;
  #checkedMs: number;

  /** @throws USAGE if the file cannot be read */
  constructor(options: UserFileOptions) {
    this.#options = options;
    this.#checkedMs = options.clock.monotonicMs();
    try {
      this.#read();
    } catch (error) {
      throw new HoldfastError('USAGE', {
        message: `the file of users ${JSON.stringify(options.path)} cannot be read`,
        hint: 'Make it with "holdfast serve-user add NAME", name it with --htpasswd-file, or serve everybody with --no-auth.',
        cause: isHoldfastError(error, 'FILE_NOT_FOUND') ? undefined : error,
      });
    }
  }

  /** A user by name. @throws Refusal 503 while the file cannot be read: nobody is let in then */
  find(name: string): UserEntry | undefined {
    this.#refresh();
    if (this.#print === undefined) throw new Refusal(503, 'the users cannot be read now');
    return this.#users.get(name);
  }

  /** The entry that asks for the most work: what a password of nobody is verified against asks for as much. */
  get users(): ReadonlyMap<string, UserEntry> {
    return this.#users;
  }

  #refresh(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#checkedMs < userFileCheckMs) return;
    this.#checkedMs = nowMs;
    try {
      if (this.#print === printOf(this.#options.path)) return;
      this.#read();
      this.#options.tell(`read ${this.#users.size} users anew`);
    } catch (error) {
      const wasReadable = this.#print !== undefined;
      this.#print = undefined;
      if (wasReadable) {
        this.#options.tell(`the users cannot be read, nobody is let in: ${describeError(error)}`);
      }
    }
  }

  #read(): void {
    const { path, tell } = this.#options;
    const print = printOf(path);
    const { users, remarks } = parseUsers(readUserText(path));
    this.#users = users;
    this.#print = print;
    for (const remark of remarks) tell(`${path}: ${remark}`);
  }
}

/** Changes whenever the file does. */
function printOf(path: string): string {
  const { inode, sizeBytes, mtime } = readStatus(Buffer.from(path), { follow: true });
  return [inode, sizeBytes, mtime.seconds, mtime.nanoseconds].join(' ');
}
