import { assert } from '../../src/base/assert.ts';
import { systemClock } from '../../src/base/clock.ts';

/** Something that happens at a moment of simulated time. */
export interface SimulatedEvent {
  readonly atMs: number;
  /** Gives true if code of a client may go on because of it, which is then waited for. */
  readonly action: () => boolean;
}

interface Entry extends SimulatedEvent {
  readonly order: number;
}

/** Events of a run after which it counts as one that never ends. */
const eventsMax = 3_000_000;

/**
 * Simulated time and what happens in it, in the order of time and then of asking. Time passes only between events: code
 * takes none, and after each event everything that can go on does so before the next.
 */
export class EventQueue {
  /** True time in milliseconds since 1970. */
  nowMs: number;
  eventCount = 0;
  #order = 0;
  /** A binary heap. */
  readonly #heap: Entry[] = [];

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  /** Has `action` happen after `delayMs`. */
  after(delayMs: number, action: () => boolean): void {
    assert(delayMs >= 0, 'nothing happens in the past');
    this.#push({ atMs: this.nowMs + delayMs, action, order: this.#order++ });
  }

  /** Lets time pass until `isDone`. @returns false if nothing more can happen before */
  async runUntil(isDone: () => boolean): Promise<boolean> {
    await systemClock.nextTurn();
    while (!isDone()) {
      const event = this.#pop();
      if (!event) return false;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      this.eventCount++;
      assert(this.eventCount < eventsMax, 'a simulation comes to an end');
      if (event.action()) await systemClock.nextTurn();
    }
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (!parent || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      if (!left) break;
      const right = heap[2 * at + 2];
      const isRight = right !== undefined && isBefore(right, left);
      const least = isRight ? right : left;
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
