import { z } from 'zod';
import { lengthText } from './durations.ts';
import { absolutePath, commandWords, lineText } from './texts.ts';

/** A program that sources name, and how long it may take. */
export interface HookEntry {
  readonly description?: string | undefined;
  readonly command: readonly string[];
  /** Default: 10m. */
  readonly timeout?: string | undefined;
  readonly directory?: string | undefined;
}

/** A hook. */
export const hookEntrySchema: z.ZodType<HookEntry> = z.strictObject({
  description: lineText.optional().meta({ description: 'what it does, for people' }),
  command: commandWords.meta({
    description: 'the program and its arguments, each by itself; no shell is used',
  }),
  timeout: lengthText({ minimum: '1s', maximum: '1d' })
    .optional()
    .meta({ description: 'it is ended with all it started after this time; default 10m' }),
  directory: absolutePath.optional().meta({ description: 'where it runs; default: /' }),
});
