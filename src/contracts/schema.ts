import type { z } from 'zod';

/** What reads values of one shape, and refuses others. */
export type Schema<T> = z.ZodType<T>;
