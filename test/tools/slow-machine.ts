import { type Clock, systemClock } from '../../src/base/clock.ts';

// A new key asks for as much work as half a second of its machine can do, and each of a dozen openings costs that again. To a
// program whose clocks all run ten times as fast, its machine is slow: its keys ask for the least work that there is.

const speed = 10;

/** What a program is to run first. */
const preload = `
const { now } = performance;
const { cpuUsage } = process;
const today = Date.now;
const startMs = today();
performance.now = () => now.call(performance) * ${speed};
Date.now = () => Math.round(startMs + (today() - startMs) * ${speed});
process.cpuUsage = () => {
  const { user, system } = cpuUsage();
  return { user: user * ${speed}, system: system * ${speed} };
};`;

/** Variables for the program as a process, where a test has it make keys and is not about what they ask for. */
export const slowMachine: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}`,
};

/** The same for a command that runs in this process. It has the right time now, and is ahead soon: for one command. */
export function clockOfSlowMachine(): Clock {
  const startMs = systemClock.wallMs();
  const wallMs = (): number => startMs + (systemClock.wallMs() - startMs) * speed;
  return {
    ...systemClock,
    wallMs,
    wallNs: () => BigInt(Math.round(wallMs() * 1e6)),
    monotonicMs: () => systemClock.monotonicMs() * speed,
    processorMs: () => (systemClock.processorMs?.() ?? 0) * speed,
  };
}
