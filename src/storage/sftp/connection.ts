import { HoldfastError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { SftpSession } from './sftp-session.ts';

/** What is under way when all is done is the closing of files, and removals of what is left behind. */
const closeMsMax = 2000;
/**
 * Sessions at once. Each has a window of its own: 2 MiB in OpenSSH, which gives 40 MB/s over 50 ms, and in ssh2, which renews it
 * at its half and so gives 20. TCP below them has room for more. OpenSSH allows ten.
 */
const sessionCountMax = 5;
/** Work on less is over before a further session would be open. */
const largeSizeBytesMin = 1 << 20;

interface Lane {
  readonly session: SftpSession;
  /** Of work that runs in it. */
  callCount: number;
}

/**
 * The way to a server: a session, made anew by the call after it was lost, and more of them over the same connection where several
 * calls move much at once.
 */
export class Connection {
  readonly #connect: (signal: AbortSignal) => Promise<SftpSession>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #opening: Promise<void> | undefined;
  #lanes: Lane[] = [];
  #mayWiden = true;

  constructor(clock: Clock, connect: (signal: AbortSignal) => Promise<SftpSession>) {
    this.#clock = clock;
    this.#connect = connect;
  }

  /** The session that is there, or a new one. Calls that come meanwhile wait for the same. */
  async session(): Promise<SftpSession> {
    await this.#connected();
    return this.#idlest().session;
  }

  /** Runs work in the session that has the least of it. @param sizeBytes of what will be moved, about */
  async run<T>(sizeBytes: number, work: (session: SftpSession) => Promise<T>): Promise<T> {
    await this.#connected();
    // From here to the count in one turn: of calls that come together each finds what those before it took.
    const lane = this.#idlest();
    if (lane.callCount > 0 && sizeBytes >= largeSizeBytesMin) void this.#widen(lane.session);
    lane.callCount++;
    try {
      return await work(lane.session);
    } finally {
      lane.callCount--;
    }
  }

  /** Ends the sessions, once what is under way has ended or a moment has passed, and the making of one. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    const sessions = this.#lanes.map(({ session }) => session);
    this.#lanes = [];
    if (sessions.length === 0) return;
    const enough = new AbortController();
    const pause = this.#clock.sleep(closeMsMax, enough.signal).catch(() => {});
    await Promise.race([Promise.all(sessions.map((session) => session.idle())), pause]);
    enough.abort();
    for (const session of sessions.toReversed()) session.close();
  }

  /** Resolves once there is a session that works. */
  async #connected(): Promise<void> {
    while (this.#working().length === 0) {
      this.#opening ??= this.#open().finally(() => {
        this.#opening = undefined;
      });
      await this.#opening;
    }
  }

  #working(): readonly Lane[] {
    this.#lanes = this.#lanes.filter(({ session }) => !session.failure);
    return this.#lanes;
  }

  #idlest(): Lane {
    const [first, ...others] = this.#working();
    if (!first) throw closed();
    return others.reduce((a, b) => (b.callCount < a.callCount ? b : a), first);
  }

  async #open(): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closed();
    this.#add(await this.#connect(signal));
  }

  /** Opens a further session, while all goes on in those that are there. One refusal is enough never to ask again. */
  async #widen(beside: SftpSession): Promise<void> {
    if (!this.#mayWiden || this.#lanes.length >= sessionCountMax) return;
    this.#mayWiden = false;
    try {
      const session = await beside.another();
      if (!session) return;
      this.#add(session);
      this.#mayWiden = true;
    } catch {
      // Some servers take one session only: then it has to do.
    }
  }

  #add(session: SftpSession): void {
    if (this.#closing.signal.aborted) {
      session.close();
      throw closed();
    }
    this.#lanes.push({ session, callCount: 0 });
  }
}

function closed(): HoldfastError {
  return new HoldfastError('BACKEND_UNAVAILABLE', { message: 'the connection was closed' });
}
