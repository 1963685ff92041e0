import { linuxCalls } from './linux/linux-calls.ts';
import { portableCalls } from './portable/portable-calls.ts';
import type { PlatformLosses, SystemCalls } from './system-calls.ts';

let chosen: SystemCalls | undefined;

/**
 * The calls of this machine, chosen at the first use: libc on Linux, else `node:fs`.
 *
 * `HOLDFAST_PLATFORM=portable` forces the latter, for tests and for machines where libc misbehaves.
 */
export function system(): SystemCalls {
  chosen ??= chooseSystem(process.env['HOLDFAST_PLATFORM']);
  return chosen;
}

/** What this machine does not keep; nothing on Linux. */
export function platformLosses(): PlatformLosses {
  return system().losses;
}

/** True on Linux where libc could not be reached though nobody asked to do without: less is kept than is expected. */
export function lacksLibc(): boolean {
  const isWanted = process.env['HOLDFAST_PLATFORM'] !== 'portable';
  return process.platform === 'linux' && isWanted && system().kind === 'portable';
}

/** Replaces the choice, for tests that run both ways in one process. @returns the one in force before */
export function useSystem(calls: SystemCalls | undefined): SystemCalls | undefined {
  const before = chosen;
  chosen = calls;
  return before;
}

function chooseSystem(wanted: string | undefined): SystemCalls {
  if (wanted === 'portable') return portableCalls();
  return linuxCalls() ?? portableCalls();
}
