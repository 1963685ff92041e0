import { lacksLibc, platformLosses } from '../platform/system.ts';
import type { Output } from './output.ts';

/**
 * Says what a backup or a restore does not keep on this system.
 * @returns what to end with if that is more than this system has to lose: then the work is not done as it should be
 */
export function tellLosses(output: Output, work: 'backup' | 'restore'): string | undefined {
  const losses = platformLosses()[work];
  if (losses.length === 0) return undefined;
  if (!output.isJson) {
    output.errorLine(`Warning: here, a ${work} does not keep ${losses.join('; ')}`);
  }
  return lacksLibc()
    ? `Warning: ${losses[0]} were left out: the native library "koffi" does not load here`
    : undefined;
}
