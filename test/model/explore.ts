/** A step that is possible in a state. */
export interface Step<S> {
  readonly name: string;
  readonly next: S;
}

/** A protocol as a graph of states. */
export interface Model<S> {
  /** Where it may begin. */
  readonly initial: readonly S[];
  /** Two states with the same text are the same. */
  encode(state: S): string;
  /** The same steps whenever it is asked of a state. */
  steps(state: S): Step<S>[];
  /** What is wrong with a state; undefined if nothing is. */
  fault(state: S): string | undefined;
  /** True where all work has ended and nothing is left: it must always remain possible to get there. */
  isQuiet(state: S): boolean;
}

export interface Exploration {
  readonly stateCount: number;
  readonly stepCount: number;
  /** What was found to be wrong, if anything. */
  readonly fault?: string;
  /** The steps that lead there, a shortest way. */
  readonly trace?: readonly string[];
}

/**
 * Visits every state that can be reached, nearest first, and looks for one that is wrong, and for one from which there is no
 * way to a quiet state.
 * @throws if there are more than `stateCountMax` states: then nothing was shown
 */
export function explore<S>(model: Model<S>, stateCountMax: number): Exploration {
  const graph = new StateGraph(model);
  for (const state of model.initial) graph.reach(state, -1);
  for (let at = 0; ; at++) {
    const state = graph.take(at);
    if (state === undefined) break;
    const fault = model.fault(state);
    if (fault !== undefined) return graph.result(at, fault);
    if (model.isQuiet(state)) graph.quiet.push(at);
    for (const { next } of model.steps(state)) graph.add(at, next);
    if (graph.stateCount > stateCountMax) throw new Error('more states than expected');
  }
  const stuck = graph.firstWithoutEnd();
  return stuck === undefined
    ? graph.result()
    : graph.result(stuck, 'work or a lock that never ends');
}

/** A list of numbers that grows, with four bytes each. */
class Numbers {
  length = 0;
  #values = new Int32Array(1 << 16);

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Int32Array(2 * this.length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(place: number): number {
    return this.#values[place] ?? 0;
  }
}

/** States of which nobody has looked what follows: a part of all that were reached. */
class Waiting<S> {
  #states: (S | undefined)[] = [];
  #first = 0;

  push(state: S): void {
    this.#states.push(state);
  }

  take(at: number): S | undefined {
    const state = this.#states[at - this.#first];
    this.#states[at - this.#first] = undefined;
    if (at - this.#first > 50_000) {
      this.#states = this.#states.slice(at - this.#first + 1);
      this.#first = at + 1;
    }
    return state;
  }
}

class StateGraph<S> {
  readonly quiet: number[] = [];
  readonly #waiting = new Waiting<S>();
  readonly #numbers = new Map<string, number>();
  /** From where each state was reached first. */
  readonly #parents = new Numbers();
  /** Every step, as pairs of numbers. */
  readonly #from = new Numbers();
  readonly #to = new Numbers();
  readonly #model: Model<S>;

  constructor(model: Model<S>) {
    this.#model = model;
  }

  get stateCount(): number {
    return this.#parents.length;
  }

  /** The state with this number, to be looked at once; undefined if there are no more. */
  take(at: number): S | undefined {
    return this.#waiting.take(at);
  }

  add(from: number, next: S): void {
    this.#from.push(from);
    this.#to.push(this.reach(next, from));
  }

  reach(state: S, parent: number): number {
    const text = this.#model.encode(state);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.stateCount;
    this.#numbers.set(text, number);
    this.#parents.push(parent);
    this.#waiting.push(state);
    return number;
  }

  result(at?: number, fault?: string): Exploration {
    const counts = { stateCount: this.stateCount, stepCount: this.#from.length };
    if (at === undefined || fault === undefined) return counts;
    return { ...counts, fault, trace: this.#traceTo(at) };
  }

  /** Walks once more from the beginning, since nothing but numbers was kept. */
  #traceTo(at: number): string[] {
    const way: number[] = [];
    for (let number = at; number >= 0; number = this.#parents.at(number)) way.unshift(number);
    const numberOf = (state: S): number => this.#numbers.get(this.#model.encode(state)) ?? -1;
    let state = this.#model.initial.find((each) => numberOf(each) === way[0]);
    const trace: string[] = [];
    for (const number of way.slice(1)) {
      const step = state && this.#model.steps(state).find(({ next }) => numberOf(next) === number);
      if (!step) throw new Error('a step is not the same the second time');
      trace.push(step.name);
      state = step.next;
    }
    return trace;
  }

  /** The nearest state from which no quiet one can be reached: all steps are walked backwards from the quiet ones. */
  firstWithoutEnd(): number | undefined {
    const { starts, sources } = this.#backwards();
    const ends = new Uint8Array(this.stateCount);
    const open = [...this.quiet];
    for (const number of open) ends[number] = 1;
    for (let number = open.pop(); number !== undefined; number = open.pop()) {
      for (let i = starts[number] ?? 0; i < (starts[number + 1] ?? 0); i++) {
        const source = sources[i] ?? 0;
        if (ends[source] === 1) continue;
        ends[source] = 1;
        open.push(source);
      }
    }
    const stuck = ends.indexOf(0);
    return stuck < 0 ? undefined : stuck;
  }

  /** All steps by where they lead: those to state `i` are `sources[starts[i]]` and on. */
  #backwards(): { readonly starts: Uint32Array; readonly sources: Uint32Array } {
    const stepCount = this.#to.length;
    const starts = new Uint32Array(this.stateCount + 1);
    for (let i = 0; i < stepCount; i++) {
      const place = this.#to.at(i) + 1;
      starts[place] = (starts[place] ?? 0) + 1;
    }
    for (let i = 0; i < this.stateCount; i++) {
      starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
    }
    const filled = starts.slice();
    const sources = new Uint32Array(stepCount);
    for (let i = 0; i < stepCount; i++) {
      const to = this.#to.at(i);
      const place = filled[to] ?? 0;
      sources[place] = this.#from.at(i);
      filled[to] = place + 1;
    }
    return { starts, sources };
  }
}
