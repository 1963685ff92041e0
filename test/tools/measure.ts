import { fileURLToPath } from 'node:url';
import { compiledOnce, mustRun, type RunSettings } from './run-program.ts';

/** What one operation cost, in a process of its own. */
export interface Measured {
  readonly complaints: readonly string[];
  readonly peakMiB: number;
  readonly seconds: number;
}

const child = fileURLToPath(new URL('./measure-child.ts', import.meta.url));

/** Backs up a folder (with `force` without a parent), restores the newest snapshot to one, or checks; as another user or in another time zone if asked. */
export async function measure(
  action: 'backup' | 'force' | 'restore' | 'check',
  args: readonly string[],
  options: RunSettings = {},
): Promise<Measured> {
  const output = await mustRun(process.execPath, [child, action, ...args], {
    ...options,
    variables: { ...compiledOnce, ...options.variables },
  });
  return JSON.parse(output) as Measured;
}
