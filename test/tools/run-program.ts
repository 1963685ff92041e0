import { spawn } from 'node:child_process';

export interface ProgramRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export interface RunSettings {
  readonly cwd?: string;
  /** Besides PATH, which is kept. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly uid?: number;
  /** Hears what the program writes to its file 3. */
  readonly onLog?: (text: string) => void;
}

const { NODE_COMPILE_CACHE } = process.env;

/** Variables for programs that are TypeScript: their types are stripped once, not for every start, which takes a second. */
export const compiledOnce: Readonly<Record<string, string>> =
  NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  settings: RunSettings = {},
): Promise<ProgramRun> {
  const { cwd, variables = {}, input, uid, onLog } = settings;
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C.UTF-8', ...variables },
    stdio: ['pipe', 'pipe', 'pipe', ...(onLog ? (['pipe'] as const) : [])],
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => output.push(part));
  child.stderr.on('data', (part: Buffer) => errors.push(part));
  child.stdio[3]?.on('data', (part: Buffer) => onLog?.(part.toString()));
  // A program that ends without reading its input is no failure of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      const text = Buffer.concat(output).toString();
      resolve({ exitCode, signal, output: text, errors: Buffer.concat(errors).toString() });
    });
  });
}

/** Runs a program that must succeed; returns what it printed. */
export async function mustRun(
  program: string,
  args: readonly string[],
  settings: RunSettings = {},
): Promise<string> {
  const run = await runProgram(program, args, settings);
  if (run.exitCode === 0) return run.output;
  const how = run.signal ?? `exit code ${run.exitCode}`;
  throw new Error(`${program} ${args.join(' ')}: ${how}\n${run.output}${run.errors}`);
}
