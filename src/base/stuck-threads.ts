let count = 0;

/** Notes that a thread was left behind in a system call that does not return. */
export function noteStuckThread(): void {
  count++;
}

/** True if a thread was left behind: the process then ends only by a call that does not wait for its threads. */
export function hasStuckThreads(): boolean {
  return count > 0;
}
