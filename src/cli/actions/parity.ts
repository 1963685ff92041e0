import { formatBytes } from '../../base/bytes.ts';
import { loadParityStatus, updateParity } from '../../engine/parity.ts';
import type { EngineContext } from '../../engine/context.ts';
import { parityPercentMax } from '../../repository/parity-file.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Invocation } from '../command.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { RepairOutput } from '../repair-output.ts';
import { withSession } from '../session.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';

/** `holdfast parity`. */
export function parity(invocation: Invocation): Promise<number> {
  const { environment, output } = invocation;
  const percent = percentOf(invocation.arguments[0]);
  const options = { lock: 'shared', writes: percent !== undefined, useCache: false } as const;
  return withSession(invocation, options, async (session) => {
    const { repository, signal, lock } = session;
    const monitor = new RepairOutput(invocation, session.monitor);
    try {
      const context = { environment, signal, monitor };
      if (percent !== undefined) {
        await lock?.settled;
        const { madeCount, removedCount } = await updateParity(repository, percent, context);
        monitor.stop();
        if (percent > 0) output.info(`made parity of ${madeCount} packs`);
        else output.info(`removed parity of ${removedCount} packs`);
      }
      await tellStatus(repository, output, context);
      return session.exitCode();
    } finally {
      monitor.stop();
    }
  });
}

async function tellStatus(
  repository: Repository,
  output: Output,
  context: EngineContext<PhaseMonitor>,
): Promise<void> {
  const status = await loadParityStatus(repository, context);
  const { percent, packCount, coveredCount, paritySizeBytes } = status;
  if (output.isJson) {
    return output.json({
      message_type: 'summary',
      percent,
      packs: packCount,
      packs_with_parity: coveredCount,
      parity_size: paritySizeBytes,
    });
  }
  const setting = percent === undefined ? 'the setting is damaged' : `${percent}% for new packs`;
  const size = formatBytes(paritySizeBytes);
  output.info(`parity: ${setting}; ${coveredCount} of ${packCount} packs have it, ${size}`);
}

/** @throws USAGE */
function percentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  if (value >= 0 && value <= parityPercentMax) return value;
  throw usage(
    `${JSON.stringify(text)} is no percentage of parity`,
    `Give a whole number from 0 to ${parityPercentMax}.`,
  );
}
