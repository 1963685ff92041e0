import { z } from 'zod';

/** Entries of one page at most. */
export const pageSizeMax = 200;

/** Entries of one page where nothing is said. */
export const pageSizeDefault = 50;

/** Under this name the JSON schema of a number in a query has what it is: on the way it is a text. */
export const numberMark = 'x-number';

/** A number in the query of a request. */
export function queryNumber(bounds: {
  readonly minimum: number;
  readonly maximum: number;
}): z.ZodType<number> {
  return z
    .string()
    .regex(/^\d{1,15}$/, 'must be a number')
    .transform(Number)
    .refine(
      (value) => value >= bounds.minimum && value <= bounds.maximum,
      `must be from ${bounds.minimum} to ${bounds.maximum}`,
    )
    .meta({ [numberMark]: { type: 'integer', ...bounds } });
}

/** What every list takes. */
export interface PageQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** The fields of `PageQuery`, for lists that take more. */
export const pageFields: {
  readonly limit: z.ZodOptional<z.ZodType<number>>;
  readonly cursor: z.ZodOptional<z.ZodString>;
} = {
  limit: queryNumber({ minimum: 1, maximum: pageSizeMax })
    .optional()
    .meta({
      description: `entries of one page, at most ${pageSizeMax}; default ${pageSizeDefault}`,
    }),
  cursor: z
    .string()
    .min(1)
    .max(500)
    .regex(/^[A-Za-z0-9_-]*$/, 'must be the "next" of an earlier answer')
    .optional()
    .meta({ description: 'the "next" of the page before' }),
};

/** What every list takes. */
export const pageQuery: z.ZodType<PageQuery> = z.strictObject(pageFields);

/** One page of a list. */
export interface PageOf<T> {
  readonly items: readonly T[];
  /** The cursor of the next page; absent on the last. */
  readonly next?: string | undefined;
}

/** One page of a list. */
export function pageOf<T>(item: z.ZodType<T>): z.ZodType<PageOf<T>> {
  const next = z.string().optional();
  return z.object({
    items: z.array(item),
    next: next.meta({ description: 'the cursor of the next page, if there is one' }),
  });
}
