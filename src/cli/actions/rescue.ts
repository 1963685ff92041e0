import { rescue as rescueFiles, type RescueResult } from '../../engine/rescue.ts';
import type { FileHandle } from '../../storage/backend.ts';
import { cliMonitor } from '../cli-monitor.ts';
import type { Invocation } from '../command.ts';
import type { RescueFlags } from '../commands/rescue.ts';
import { parsePersonTime } from '../parse-time.ts';
import { passwordToOpen, repositoryPassword } from '../password.ts';
import { RepairOutput } from '../repair-output.ts';
import { repositoryLocation } from '../repository-location.ts';
import { openStorage } from '../session.ts';

/** `holdfast rescue`. */
export async function rescue(invocation: Invocation<RescueFlags>): Promise<number> {
  const { environment, flags, output, signal } = invocation;
  const since = flags.since === undefined ? undefined : parsePersonTime(flags.since, '--since');
  const listener = cliMonitor(output);
  const backend = await openStorage(invocation, repositoryLocation(invocation), listener);
  const monitor = new RepairOutput(invocation, listener, 'files');
  try {
    const options = {
      dryRun: flags.dryRun,
      sinceMs: since && since.seconds * 1000,
      password: async () =>
        (await passwordToOpen(invocation, repositoryPassword(invocation))).password,
    };
    const result = await rescueFiles(backend, options, { environment, signal, monitor });
    monitor.stop();
    print(invocation, result);
    return result.lost.length + result.failed.length > 0 ? 1 : 0;
  } finally {
    monitor.stop();
    await backend.close();
  }
}

function print({ output, flags }: Invocation<RescueFlags>, result: RescueResult): void {
  const { restored, replaced, lost, failed } = result;
  if (output.isJson) {
    output.json({
      message_type: 'summary',
      dry_run: flags.dryRun,
      restored: restored.map(nameOf),
      replaced: replaced.map(nameOf),
      lost: lost.map(nameOf),
      failed: failed.map(nameOf),
    });
    return;
  }
  for (const file of lost) {
    output.errorLine(`${nameOf(file)}: no version holds what it should, nothing was changed`);
  }
  const would = flags.dryRun ? 'would be ' : '';
  output.info(`${would}brought back: ${countText(restored)}`);
  output.info(`${would}put over wrong content: ${countText(replaced)}`);
  if (lost.length > 0) output.info(`lost: ${countText(lost)}`);
  if (failed.length > 0) output.info(`failed: ${countText(failed)}`);
  const isDone = !flags.dryRun && restored.length + replaced.length > 0;
  if (isDone) output.info('run "holdfast check --read-data" now');
}

/** As restic names files of a repository. */
function nameOf({ type, name }: FileHandle): string {
  return type === 'config' ? type : `${type} ${name}`;
}

/** `3 packs, 1 config`. */
function countText(files: readonly FileHandle[]): string {
  const counts = new Map<string, number>();
  for (const { type } of files) counts.set(type, (counts.get(type) ?? 0) + 1);
  if (counts.size === 0) return 'nothing';
  return Array.from(
    counts,
    ([type, count]) => `${count} ${type} file${count === 1 ? '' : 's'}`,
  ).join(', ');
}
