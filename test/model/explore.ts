/** A step that is possible in a state. */
export interface Step<S> {
  readonly name: string;
  readonly next: S;
}

/** A protocol as a graph of states. */
export interface Model<S> {
  readonly initial: S;
  /** Two states with the same text are the same. */
  encode(state: S): string;
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
  const found = new StateGraph<S>(model);
  // The list grows meanwhile.
  for (const [at, state] of found.states.entries()) {
    const fault = model.fault(state);
    if (fault !== undefined) return found.result(at, fault);
    for (const step of model.steps(state)) found.add(at, step);
    if (found.states.length > stateCountMax) throw new Error('more states than expected');
  }
  const stuck = found.firstWithoutEnd();
  return stuck === undefined
    ? found.result()
    : found.result(stuck, 'work or a lock that never ends');
}

class StateGraph<S> {
  readonly states: S[] = [];
  readonly #numbers = new Map<string, number>();
  /** From where, and by which step, each state was reached first. */
  readonly #parents: number[] = [];
  readonly #stepNames: string[] = [];
  /** Every step, as pairs of numbers. */
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #model: Model<S>;

  constructor(model: Model<S>) {
    this.#model = model;
    this.#number(model.initial, -1, '');
  }

  add(from: number, { name, next }: Step<S>): void {
    this.#from.push(from);
    this.#to.push(this.#number(next, from, name));
  }

  #number(state: S, parent: number, stepName: string): number {
    const text = this.#model.encode(state);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.states.length;
    this.#numbers.set(text, number);
    this.states.push(state);
    this.#parents.push(parent);
    this.#stepNames.push(stepName);
    return number;
  }

  result(at?: number, fault?: string): Exploration {
    const counts = { stateCount: this.states.length, stepCount: this.#from.length };
    if (at === undefined || fault === undefined) return counts;
    const trace: string[] = [];
    for (let number = at; number > 0; number = this.#parents[number] ?? 0) {
      trace.unshift(this.#stepNames[number] ?? '');
    }
    return { ...counts, fault, trace };
  }

  /** The nearest state from which no quiet one can be reached: all steps are walked backwards from the quiet ones. */
  firstWithoutEnd(): number | undefined {
    const stateCount = this.states.length;
    const starts = new Uint32Array(stateCount + 1);
    for (const to of this.#to) starts[to + 1] = (starts[to + 1] ?? 0) + 1;
    for (let i = 0; i < stateCount; i++) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
    const filled = starts.slice();
    const sources = new Uint32Array(this.#to.length);
    this.#to.forEach((to, step) => {
      const place = filled[to] ?? 0;
      sources[place] = this.#from[step] ?? 0;
      filled[to] = place + 1;
    });
    const ends = new Uint8Array(stateCount);
    const open: number[] = [];
    this.states.forEach((state, number) => {
      if (!this.#model.isQuiet(state)) return;
      ends[number] = 1;
      open.push(number);
    });
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
}
