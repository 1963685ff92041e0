// Runs one command as a whole process and tells its wall time and peak memory.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measured {
  readonly wallSeconds: number;
  /** Largest resident size of the process, from the kernel's high-water mark. */
  readonly peakBytes: number;
  /** The last of what it printed. */
  readonly output: string;
  /** How often it asked the storage, where that was counted. */
  readonly requests?: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const samplePauseMs = 20;

/** Runs a command to its end. @throws with its last output if it fails */
export async function measure(command: Command): Promise<Measured> {
  const startedMs = performance.now();
  const child = spawn(command.program, command.args, {
    env: { ...process.env, ...command.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (data: Buffer): void => {
    output = (output + data.toString()).slice(-2000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let peakBytes = 0;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, highWaterMark(child.pid));
  }, samplePauseMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(sampler);
  const wallSeconds = (performance.now() - startedMs) / 1000;
  if (code !== 0) {
    throw new Error(`${command.program} ${command.args.join(' ')} ended with ${code}: ${output}`);
  }
  return { wallSeconds, peakBytes, output };
}

function highWaterMark(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    // The process has ended between two samples.
    return 0;
  }
}

/** The middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[middle - 1] ?? 0, sorted[middle] ?? 0];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}
