import { z } from 'zod';
import { type HookEntry, hookEntrySchema } from './hook-entry.ts';
import { type Policy, policySchema } from './policy.ts';
import { type RepositoryEntry, repositoryEntrySchema } from './repository-entry.ts';
import { type SourceEntry, sourceEntrySchema } from './source-entry.ts';
import { nameText } from './texts.ts';

/**
 * What a person or a company protects, where to, and what must be true of it: the whole of an estate file.
 * @see docs/ESTATE.md
 */
export interface Estate {
  readonly version: 1;
  readonly repositories: Readonly<Record<string, RepositoryEntry>>;
  readonly policies: Readonly<Record<string, Policy>>;
  readonly sources: Readonly<Record<string, SourceEntry>>;
  readonly hooks?: Readonly<Record<string, HookEntry>> | undefined;
  /** Hooks that are run once at the end of a run in which something failed, or after which something is overdue. */
  readonly 'on-failure'?: readonly string[] | undefined;
}

/** An estate by its form alone; whether its names lead somewhere is for `referenceProblems`. */
export const estateSchema: z.ZodType<Estate> = z.strictObject({
  version: z.literal(1).meta({ description: 'version of this form: 1' }),
  repositories: z
    .record(nameText, repositoryEntrySchema)
    .meta({ description: 'where snapshots are stored, by names of your own' }),
  policies: z
    .record(nameText, policySchema)
    .meta({ description: 'what must be true, by names of your own' }),
  sources: z
    .record(nameText, sourceEntrySchema)
    .meta({ description: 'what is protected, by names of your own' }),
  hooks: z
    .record(nameText, hookEntrySchema)
    .optional()
    .meta({ description: 'programs that sources run around a backup, by names of your own' }),
  'on-failure': z.array(nameText).max(20).optional().meta({
    description: 'hooks to run once at the end of a run in which something failed or is overdue',
  }),
});

/** The published JSON schema of estate files. @see docs/estate.schema.json */
export function estateJsonSchema(): Record<string, unknown> {
  return {
    title: 'Holdfast estate',
    description: 'What Holdfast protects, where to, and what must be true of it.',
    ...z.toJSONSchema(estateSchema, { io: 'input', target: 'draft-2020-12' }),
  };
}
