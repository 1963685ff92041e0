import { z } from 'zod';

/** Characters of a name of the estate. */
const nameSizeMax = 63;

/** A name that the user gives: of a repository, a source, a policy, a hook. */
export const nameText: z.ZodType<string> = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${nameSizeMax - 1}}$`),
    `must be a name of at most ${nameSizeMax} letters, digits, dots, dashes and underscores that begins with a letter or digit`,
  );

/** One line of text for people. */
export const lineText: z.ZodType<string> = z
  .string()
  .max(500)
  .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters');

/** What is handed to the operating system: a path, an argument. */
export const systemText: z.ZodType<string> = z
  .string()
  .min(1)
  .max(32_768)
  .regex(/^[^\0]*$/, 'must not contain NUL');

/** An absolute path. */
export const absolutePath: z.ZodType<string> = z
  .string()
  .max(32_768)
  .regex(/^\/[^\0]*$/, 'must be an absolute path, such as /home/anna');

/** The name of an environment variable. */
export const variableName: z.ZodType<string> = z
  .string()
  .max(200)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');

/** A tag of snapshots: what the command line separates by comma. */
export const tagText: z.ZodType<string> = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^,\p{Cc}]*$/u, 'must be one tag, without comma');

/** A time of day, `02:30`. */
export const clockText: z.ZodType<string> = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day such as "02:30", in quotes');

/** A program and its arguments, each a text of its own: no shell takes them apart. */
export const commandWords: z.ZodType<readonly string[]> = z.array(systemText).min(1).max(200);

/** A size such as 200M; units are powers of 1024, as on the command line. */
export const sizeText: z.ZodType<string> = z
  .string()
  .regex(/^\d{1,12}[bBkKmMgGtT]?$/, 'must be a size such as "200M"');

const sizeUnits = 'bkmgt';

/** Bytes of a text that `sizeText` has taken. */
export function sizeBytes(text: string): number {
  const unit = sizeUnits.indexOf(text.at(-1)?.toLowerCase() ?? '');
  return Number.parseInt(text, 10) * 1024 ** Math.max(unit, 0);
}
