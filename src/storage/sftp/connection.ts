import { HoldfastError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { SftpSession } from './sftp-session.ts';

/** What is under way when all is done is the closing of files, and removals of what is left behind. */
const closeMsMax = 2000;

/** The way to a server: one session, made anew by the call after it was lost. */
export class Connection {
  readonly #connect: (signal: AbortSignal) => Promise<SftpSession>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #session: Promise<SftpSession> | undefined;
  #current: SftpSession | undefined;

  constructor(clock: Clock, connect: (signal: AbortSignal) => Promise<SftpSession>) {
    this.#clock = clock;
    this.#connect = connect;
  }

  /** The session that is there, or a new one. Calls that come meanwhile wait for the same. */
  async session(): Promise<SftpSession> {
    if (this.#current && !this.#current.failure) return this.#current;
    this.#session ??= this.#open().finally(() => {
      this.#session = undefined;
    });
    return await this.#session;
  }

  /** Ends the session, once what is under way has ended or a moment has passed, and the making of one. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    const session = this.#current;
    this.#current = undefined;
    if (!session) return;
    const enough = new AbortController();
    const pause = this.#clock.sleep(closeMsMax, enough.signal).catch(() => {});
    await Promise.race([session.idle(), pause]);
    enough.abort();
    session.close();
  }

  async #open(): Promise<SftpSession> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closed();
    const session = await this.#connect(signal);
    if (signal.aborted) {
      session.close();
      throw closed();
    }
    this.#current = session;
    return session;
  }
}

function closed(): HoldfastError {
  return new HoldfastError('BACKEND_UNAVAILABLE', { message: 'the connection was closed' });
}
