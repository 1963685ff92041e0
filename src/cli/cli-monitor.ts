import { describeError } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import type { Monitor, Problem } from '../base/monitor.ts';
import type { Output } from './output.ts';
import { safeText } from './safe-text.ts';

/** Tells problems on standard error as they come: as lines, or as JSON with --json. */
export function cliMonitor(output: Output): Monitor {
  return {
    problem: (problem) => reportProblem(output, problem),
    note: (text) => printNote(output, text),
  };
}

/** A remark on standard error, in one line; not with --quiet or --json. */
export function printNote(output: Output, text: string): void {
  if (!output.isJson && output.verbosity >= 1) output.errorLine(harmlessLine(text));
}

/** One problem on standard error. */
export function reportProblem(output: Output, { item, during, error }: Problem): void {
  const message = describeError(error);
  if (output.isJson) {
    output.jsonError({ message_type: 'error', error: { message }, during, item });
  } else
    output.errorLine(item === '' ? `error: ${message}` : `error: ${safeText(item)}: ${message}`);
}
