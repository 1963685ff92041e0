import { Worker } from 'node:worker_threads';

/** A run that takes longer hangs. Far beyond what any run needs, also on a machine that is busy. */
const runSecondsMax = 300;

const code = `
  const { workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  const beats = new Int32Array(workerData.memory);
  for (let seen = -1; ; ) {
    const beat = Atomics.load(beats, 0);
    if (beat === seen) {
      const [, seed, run] = beats;
      writeSync(2, 'a run hangs: seed ' + (seed >>> 0) + ', run ' + run + '\\n');
      process.kill(process.pid, 'SIGKILL');
    }
    seen = beat;
    if (Atomics.wait(beats, 3, 0, ${runSecondsMax} * 1000) !== 'timed-out') break;
  }
`;

/** Ends the process, naming the input, when a run does not end: a loop cannot be interrupted in its own thread. */
export class Watchdog {
  readonly #beats = new Int32Array(new SharedArrayBuffer(16));
  readonly #worker: Worker;

  constructor() {
    this.#worker = new Worker(code, { eval: true, workerData: { memory: this.#beats.buffer } });
    this.#worker.unref();
  }

  /** A run begins. */
  beat(seed: number, run: number): void {
    this.#beats[1] = seed;
    this.#beats[2] = run;
    Atomics.add(this.#beats, 0, 1);
  }

  stop(): void {
    Atomics.store(this.#beats, 3, 1);
    Atomics.notify(this.#beats, 3);
  }
}
