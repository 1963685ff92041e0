import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';

/** Time for an end in order; then what holds it up is left to itself. */
const orderlyMsMax = 5_000;
/** Time for what is done even then: locks are removed. */
const lastMsMax = 2_000;

/** What an end needs of the process; tests give their own. */
export interface EndingOptions {
  readonly clock: Clock;
  /** Tells the user what happens. */
  readonly tell: (text: string) => void;
  /** Ends the process, whatever still runs in it. */
  readonly exit: () => void;
}

/**
 * How a running command is stopped from outside: the first request asks the work to end in order, which keeps what is
 * stored useful and takes some seconds at most. A second request, or the time that is up, ends the process once locks
 * are removed; a third one at once.
 */
export class Ending {
  readonly #options: EndingOptions;
  readonly #controller = new AbortController();
  readonly #lastActions: (() => Promise<void>)[] = [];
  #requestCount = 0;

  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** Aborts with the reason to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the work in order for a failure of ours. */
  fail(reason: HoldfastError): void {
    this.#controller.abort(reason);
  }

  /** Has `action` done before the process ends without waiting for its work. */
  readonly beforeEnd = (action: () => Promise<void>): void => {
    this.#lastActions.push(action);
  };

  /** Somebody asks the program to stop. */
  request(): void {
    this.#requestCount++;
    if (this.#requestCount === 1) this.#stop();
    else if (this.#requestCount === 2) this.#hurry('stopping at once');
    else this.#options.exit();
  }

  #stop(): void {
    const { clock, tell } = this.#options;
    tell('interrupted: stopping, which takes a few seconds at most (once more: at once)');
    this.#controller.abort(new HoldfastError('CANCELLED', { message: 'interrupted' }));
    const timer = clock.every(orderlyMsMax, () => {
      timer.stop();
      if (this.#requestCount === 1) this.#hurry('the storage takes too long: stopping at once');
    });
  }

  #hurry(text: string): void {
    const { clock, tell, exit } = this.#options;
    tell(text);
    const actions = Promise.allSettled(this.#lastActions.map((action) => action()));
    void Promise.race([actions, clock.sleep(lastMsMax)]).then(exit);
  }
}
