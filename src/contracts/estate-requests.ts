import { z } from 'zod';
import { type Policy, policySchema } from './policy.ts';
import { type SourceEntry, sourceEntrySchema } from './source-entry.ts';
import { nameText } from './texts.ts';

/** Something of the estate that is to be added under a name. */
export interface NamedRequest<T> {
  readonly name: string;
  readonly entry: T;
}

/** A change of what has a name. */
export type EntryChange<T> = Omit<NamedRequest<T>, 'name'>;

/** A policy that is to be added. */
export const policyRequestSchema: z.ZodType<NamedRequest<Policy>> = z.strictObject({
  name: nameText,
  entry: policySchema,
});

/** A change of a policy. */
export const policyChangeSchema: z.ZodType<EntryChange<Policy>> = z.strictObject({
  entry: policySchema,
});

/** Whoever may change sources shall not gain the machine: nothing of a source may start a program or read a list from a file. */
const safeSource: z.ZodType<SourceEntry> = sourceEntrySchema.superRefine((source, context) => {
  const refuse = (field: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [field], message });
  };
  const isOther = source.kind !== 'files';
  if (isOther) refuse('kind', 'must be files: a server starts no programs that it is told');
  if (source.hooks) {
    refuse('hooks', 'cannot be set here: a server starts no programs that it is told');
  }
  if (isOther) return;
  for (const field of ['exclude-file', 'iexclude-file'] as const) {
    if (source[field]) refuse(field, 'cannot be set here: use exclude or iexclude');
  }
});

/** A source that is to be added. */
export const sourceRequestSchema: z.ZodType<NamedRequest<SourceEntry>> = z.strictObject({
  name: nameText,
  entry: safeSource,
});

/** A change of a source. */
export const sourceChangeSchema: z.ZodType<EntryChange<SourceEntry>> = z.strictObject({
  entry: safeSource,
});
