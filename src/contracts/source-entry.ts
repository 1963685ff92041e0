import { z } from 'zod';
import {
  absolutePath,
  commandWords,
  lineText,
  nameText,
  sizeText,
  systemText,
  tagText,
} from './texts.ts';

/** What every source says. */
interface SourceBase {
  readonly description?: string | undefined;
  /** The name of a policy. */
  readonly policy: string;
  /** Host name of its snapshots; the machine's own without. */
  readonly host?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly hooks?: SourceHooks | undefined;
}

/** Hooks by their names, in the order in which they run. */
export interface SourceHooks {
  readonly before?: readonly string[] | undefined;
  readonly after?: readonly string[] | undefined;
  readonly 'on-failure'?: readonly string[] | undefined;
}

/** Files and folders, with what is left out in the words of `holdfast backup`. */
export interface FilesSource extends SourceBase {
  readonly kind: 'files';
  readonly paths: readonly string[];
  readonly exclude?: readonly string[] | undefined;
  readonly iexclude?: readonly string[] | undefined;
  readonly 'exclude-file'?: readonly string[] | undefined;
  readonly 'iexclude-file'?: readonly string[] | undefined;
  readonly 'exclude-caches'?: boolean | undefined;
  readonly 'exclude-if-present'?: readonly string[] | undefined;
  readonly 'exclude-larger-than'?: string | undefined;
  readonly 'one-file-system'?: boolean | undefined;
}

/** What a program prints, as one file. */
export interface CommandSource extends SourceBase {
  readonly kind: 'stdin-command';
  readonly command: readonly string[];
  readonly 'stdin-filename': string;
}

/** What is protected. @see docs/ESTATE.md#sources */
export type SourceEntry = FilesSource | CommandSource;

const hookNames = z.array(nameText).max(20);

const hooks: z.ZodType<SourceHooks> = z.strictObject({
  before: hookNames
    .optional()
    .meta({ description: 'run before a backup; if one fails nothing is backed up' }),
  after: hookNames
    .optional()
    .meta({ description: 'run after each backup, also after one that failed' }),
  'on-failure': hookNames
    .optional()
    .meta({ description: 'run when any step of this source failed' }),
});

const base = {
  description: lineText.optional().meta({ description: 'what it is, for people' }),
  policy: nameText.meta({ description: 'the policy that says what must be true of it' }),
  host: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\p{Cc}]*$/u, 'must be a host name')
    .optional()
    .meta({ description: "host name of its snapshots; default: the machine's" }),
  tags: z.array(tagText).max(100).optional().meta({ description: 'tags of its snapshots' }),
  hooks: hooks.optional().meta({ description: 'programs to run around a backup, by their names' }),
};

const patterns = z.array(systemText).max(10_000);

const filesSource = z.strictObject({
  kind: z.literal('files').meta({ description: 'files and folders' }),
  paths: z.array(absolutePath).min(1).max(10_000).meta({ description: 'what is backed up' }),
  exclude: patterns.optional().meta({ description: 'leave out what matches a pattern' }),
  iexclude: patterns
    .optional()
    .meta({ description: 'the same, but upper and lower case do not matter' }),
  'exclude-file': z
    .array(absolutePath)
    .max(100)
    .optional()
    .meta({ description: 'read exclude patterns from files' }),
  'iexclude-file': z
    .array(absolutePath)
    .max(100)
    .optional()
    .meta({ description: 'the same, but upper and lower case do not matter' }),
  'exclude-caches': z
    .boolean()
    .optional()
    .meta({ description: 'leave out the content of folders that a CACHEDIR.TAG file marks' }),
  'exclude-if-present': z
    .array(systemText)
    .max(100)
    .optional()
    .meta({ description: 'leave out the content of folders with this file: filename[:header]' }),
  'exclude-larger-than': sizeText
    .optional()
    .meta({ description: 'leave out files larger than this' }),
  'one-file-system': z
    .boolean()
    .optional()
    .meta({ description: 'do not cross into other file systems' }),
  ...base,
});

const commandSource = z.strictObject({
  kind: z.literal('stdin-command').meta({ description: 'what a program prints, as one file' }),
  command: commandWords.meta({ description: 'the program and its arguments; no shell is used' }),
  'stdin-filename': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\0]*$/, 'must not contain NUL')
    .meta({ description: 'name of that file in the snapshot' }),
  ...base,
});

/** What is protected. */
export const sourceEntrySchema: z.ZodType<SourceEntry> = z.discriminatedUnion('kind', [
  filesSource,
  commandSource,
]);
