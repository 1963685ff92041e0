/** A problem with one item; the work goes on, and the result lists it. */
export interface Problem {
  /** The item: a path, an id or a file name, as bytes where it came from a file system. */
  readonly item: string;
  /** What the work was doing. */
  readonly during: 'scan' | 'archival' | 'restore' | 'check';
  readonly error: unknown;
}

/** Numbers of a running operation. All sizes in bytes. Absent means not known. */
export interface Progress {
  readonly filesDone: number;
  readonly filesTotal?: number;
  readonly bytesDone: number;
  readonly bytesTotal?: number;
  readonly errorCount: number;
  /** What is worked on now. */
  readonly currentItems: readonly string[];
}

/** What an operation tells while it runs. Every method is cheap and must not throw. */
export interface Monitor {
  /** A problem as it comes. */
  problem(problem: Problem): void;
  /** A remark that is no problem. */
  note(text: string): void;
}

/** What work in several phases tells. */
export interface PhaseMonitor extends Monitor {
  /** What is done now, such as `check all packs`. */
  phase(name: string): void;
  /** How far this phase is. What is counted as files depends on it: packs, trees, snapshots. */
  progress(progress: Progress): void;
}

/** Hears nothing. */
export const silentMonitor: Monitor = { problem: () => {}, note: () => {} };
