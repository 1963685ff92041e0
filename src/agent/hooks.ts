import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cancelled } from '../base/abort.ts';
import { HoldfastError, systemCode } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import { lengthMs } from '../contracts/durations.ts';
import type { HookEntry } from '../contracts/hook-entry.ts';
import type { AgentHost } from './host.ts';

/** How long a hook may take where it does not say, in milliseconds. */
const timeoutMsDefault = 600_000;

/** How long a hook may take to end once it is told to. */
const endMsMax = 5000;

/** Most bytes of its output that are kept: the last ones. */
const outputSizeBytesMax = 64 * 1024;

/** Variables of the process that a hook gets; secrets of repositories are not among them. */
const passedVariables: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
];

/** What a hook is told: as variables `HOLDFAST_<NAME>`, and all of it as JSON on its standard input. */
export interface HookContext {
  readonly variables: Readonly<Record<string, string>>;
  readonly json: unknown;
}

/** How a hook ended. */
export interface HookResult {
  readonly name: string;
  /** The end of what it printed, as lines without control characters. */
  readonly output: string;
  /** COMMAND_FAILED if it could not be started, failed, or took longer than it may; CANCELLED. */
  readonly error?: HoldfastError;
}

/** Runs a hook to its end. No shell is involved. What it prints is kept, not shown. */
export async function runHook(
  name: string,
  entry: HookEntry,
  run: { readonly host: AgentHost; readonly context: HookContext },
): Promise<HookResult> {
  const { host, context } = run;
  const [program = '', ...args] = entry.command;
  const child = spawn(program, args, {
    cwd: entry.directory ?? '/',
    env: environmentOf(host, context),
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own, so that what it starts ends with it.
    detached: true,
  });
  const output = collect(child);
  // A hook that reads nothing is no failure.
  child.stdin.on('error', () => {});
  child.stdin.end(`${JSON.stringify(context.json)}\n`);
  const limit = watch(child, host, entry);
  try {
    const [code, killedBy] = (await once(child, 'close')) as [number | null, string | null];
    const how = limit.reason() ?? (code === 0 ? undefined : endingText(code, killedBy));
    const result = { name, output: output.text() };
    if (host.signal.aborted) return { ...result, error: cancelled(host.signal) };
    return how === undefined ? result : { ...result, error: failure(name, how) };
  } catch (error) {
    const how = startFailures[systemCode(error) ?? ''] ?? 'could not be started';
    return { name, output: '', error: failure(name, how, error) };
  } finally {
    limit.stop();
  }
}

const startFailures: Readonly<Record<string, string>> = {
  ENOENT: 'was not found',
  EACCES: 'may not be executed',
};

function endingText(code: number | null, killedBy: string | null): string {
  return killedBy ? `was ended by ${killedBy}` : `failed with exit code ${code}`;
}

/** Ends the hook with all it started when its time is over, or the run is cancelled. */
function watch(
  child: ChildProcess,
  host: AgentHost,
  { timeout }: HookEntry,
): { readonly reason: () => string | undefined; readonly stop: () => void } {
  const limitMs = timeout === undefined ? timeoutMsDefault : lengthMs(timeout);
  const ended = new AbortController();
  const { signal } = ended;
  let reason: string | undefined;
  const end = (): void => {
    endGroup(child, 'SIGTERM');
    waitThen(host, { ms: endMsMax, signal }, () => endGroup(child, 'SIGKILL'));
  };
  host.signal.addEventListener('abort', end, { once: true, signal });
  waitThen(host, { ms: limitMs, signal }, () => {
    reason = `took longer than ${limitMs / 1000} s`;
    end();
  });
  return { reason: () => reason, stop: () => ended.abort() };
}

function environmentOf(
  { variables }: AgentHost,
  context: HookContext,
): Record<string, string | undefined> {
  const passed = passedVariables.map((name) => [name, variables[name]] as const);
  const own = Object.entries(context.variables).map(
    ([name, value]) => [`HOLDFAST_${name}`, value] as const,
  );
  return Object.fromEntries([...passed, ...own].filter(([, value]) => value !== undefined));
}

function waitThen(
  { environment }: AgentHost,
  { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
  action: () => void,
): void {
  // It rejects when the hook has ended before.
  environment.clock.sleep(ms, signal).then(action, () => undefined);
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // All of it has ended.
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

function collect(child: ChildProcess): { text(): string } {
  let bytes: Buffer = Buffer.alloc(0);
  const take = (part: Buffer): void => {
    bytes = Buffer.concat([bytes, part]).subarray(-outputSizeBytesMax);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return {
    text: () => bytes.toString('utf8').trimEnd().split('\n').map(harmlessLine).join('\n'),
  };
}

function failure(name: string, how: string, cause?: unknown): HoldfastError {
  return new HoldfastError('COMMAND_FAILED', { message: `the hook "${name}" ${how}`, cause });
}
