import type { RetentionPeriod } from '../storage/backend.ts';
import { retentionDaysMax } from '../storage/retention-mark.ts';
import type { FlagValues } from './command.ts';
import { usage } from './parse.ts';

/** What is promised about locks of files. */
export const lockFlags = {
  lock: {
    kind: 'text',
    name: 'lock',
    placeholder: 'duration',
    description: 'lock every file for this time when it is stored, such as 30d, 8w or 1y',
  },
  lockMode: {
    kind: 'choice',
    name: 'lock-mode',
    placeholder: 'mode',
    choices: ['governance', 'compliance'],
    description:
      'who may lift a lock: those with a right of their own (governance), or nobody, not even you (compliance)',
    defaultText: 'governance',
  },
} as const;

/** The flags `--lock` and `--lock-mode`. */
export type LockFlags = typeof lockFlags;

const daysPerUnit: Readonly<Record<string, number>> = { d: 1, w: 7, y: 365 };

/** The period that the flags name; undefined for none. @throws USAGE */
export function lockPeriodOf(flags: FlagValues<LockFlags>): RetentionPeriod | undefined {
  const { lock: text, lockMode } = flags;
  if (text === undefined) {
    if (lockMode !== undefined) throw usage('--lock-mode is only of use with --lock');
    return undefined;
  }
  const match = /^([0-9]{1,6})([dwy])$/.exec(text);
  if (!match) throw wrong(text, 'it is no time like 30d, 8w or 1y');
  const days = Number(match[1]) * (daysPerUnit[match[2] ?? ''] ?? 0);
  if (days < 1) throw wrong(text, 'a lock of no time locks nothing');
  if (days > retentionDaysMax) {
    throw wrong(text, 'locks of more than 10 years are not made: nobody could free the room again');
  }
  return { mode: lockMode ?? 'governance', days };
}

function wrong(text: string, problem: string): Error {
  return usage(`invalid argument ${JSON.stringify(text)} for "--lock": ${problem}`);
}
