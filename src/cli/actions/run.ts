import path from 'node:path';
import { toHex } from '../../base/bytes.ts';
import { throwIfAborted } from '../../base/abort.ts';
import type { AgentRun } from '../../agent/host.ts';
import { executeRun, type RunResult } from '../../agent/execute-run.ts';
import { dutiesNamed, overdueDuties, planRun, unknownNames } from '../../agent/plan-run.ts';
import { runUnderWay, StateFile } from '../../agent/state-file.ts';
import { HoldfastError } from '../../base/errors.ts';
import { nearest } from '../../base/suggest.ts';
import type { Estate } from '../../contracts/estate.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { resolvePath } from '../../platform/folders.ts';
import { stateDirectory } from '../../platform/machine.ts';
import { type Duty, dutiesOf } from '../../policy/duties.ts';
import { cacheSettings } from '../cache.ts';
import type { Invocation } from '../command.ts';
import type { RunFlags } from '../commands/run.ts';
import { usage } from '../parse.ts';
import { estateOf } from '../read-estate.ts';
import { exitCodeOf, printDryRun, printEnd, RunOutput } from '../run-output.ts';
import { programVersion } from '../version.ts';

type RunInvocation = Invocation<RunFlags>;

/** Between two looks whether another run has ended. */
const waitStepMs = 1000;

/** `holdfast run`. */
export async function run(invocation: RunInvocation): Promise<number> {
  const { flags, environment, output } = invocation;
  const { path: file, estate } = estateOf(invocation);
  const nowMs = environment.clock.wallMs();
  const duties = dutiesOf(estate, nowMs);
  const chosen = chooseDuties(estate, duties, invocation.arguments);
  const statePath = statePathOf(invocation, file);
  const note = (text: string): void => output.errorLine(text);
  if (flags.dryRun) {
    const memory = StateFile.peek(statePath, note);
    const planned = planRun(chosen, memory, { nowMs, all: flags.all });
    printDryRun(output, planned, overdueDuties(chosen, memory, nowMs));
    return 0;
  }
  const state = await openState(invocation, statePath, note);
  try {
    state.retain(new Set(duties.map(({ id }) => id)));
    const planned = planRun(chosen, state, {
      nowMs: environment.clock.wallMs(),
      all: flags.all,
    });
    const result = await execute(invocation, { estate, state }, planned);
    printEnd(output, planned, result);
    return exitCodeOf(output, result);
  } finally {
    state.close();
  }
}

async function execute(
  invocation: RunInvocation,
  { estate, state }: { readonly estate: Estate; readonly state: StateFile },
  planned: Parameters<typeof executeRun>[1],
): Promise<RunResult> {
  const { environment, signal, variables, beforeEnd } = invocation;
  const listener = new RunOutput(invocation);
  const host = {
    environment,
    signal,
    variables: variables.all,
    programVersion,
    cache: cacheSettings(invocation),
    beforeEnd,
    listener,
  };
  const agentRun: AgentRun = { host, estate, memory: state };
  try {
    return await executeRun(agentRun, planned);
  } finally {
    listener.stop();
  }
}

/** @throws USAGE for a name that the file does not have */
function chooseDuties(estate: Estate, duties: readonly Duty[], names: readonly string[]): Duty[] {
  const [unknown] = unknownNames(duties, names);
  if (unknown === undefined) return dutiesNamed(duties, names);
  const known = [...Object.keys(estate.sources), ...Object.keys(estate.repositories)];
  const meant = nearest(unknown, known);
  throw usage(
    `the estate has no source or used repository ${JSON.stringify(unknown)}`,
    meant ? `Did you mean "${meant}"?` : `It has: ${known.join(', ')}.`,
  );
}

/** One file for each estate file, by where that really is. @throws USAGE if the system has no folder for state */
function statePathOf({ flags, variables }: RunInvocation, file: string): string {
  const folder = flags.stateDirectory ?? stateDirectory(variables.all);
  if (folder === undefined) {
    throw usage('there is no folder for state', 'Name one with --state-dir.');
  }
  const real = resolvePath(Buffer.from(path.resolve(file))) ?? Buffer.from(file);
  const name = toHex(sha256(real)).slice(0, 16);
  return path.join(path.resolve(folder), `run-${name}.json`);
}

/** @throws REPOSITORY_LOCKED if another run holds it for longer than --wait */
async function openState(
  { flags, environment, signal, output }: RunInvocation,
  statePath: string,
  note: (text: string) => void,
): Promise<StateFile> {
  const { clock } = environment;
  const untilMs = clock.monotonicMs() + (flags.wait ?? 0);
  for (let isFirst = true; ; isFirst = false) {
    throwIfAborted(signal);
    const state = openAsUsage(statePath, note);
    if (state) return state;
    if (clock.monotonicMs() >= untilMs) throw runUnderWay();
    if (isFirst) output.info('another run of this estate is under way: waiting for it');
    await clock.sleep(waitStepMs, signal);
  }
}

/** @throws USAGE if the folder of state cannot be written, naming it */
function openAsUsage(statePath: string, note: (text: string) => void): StateFile | undefined {
  try {
    return StateFile.open(statePath, note);
  } catch (cause) {
    throw new HoldfastError('USAGE', {
      message: `the folder of state ${JSON.stringify(path.dirname(statePath))} cannot be used`,
      hint: 'Name another with --state-dir.',
      cause,
    });
  }
}
