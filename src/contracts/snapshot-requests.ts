import { z } from 'zod';
import { pageFields, type PageQuery } from './paging.ts';
import { absolutePath, nameText } from './texts.ts';

/** Which snapshots are listed. */
export interface SnapshotQuery extends PageQuery {
  readonly source?: string | undefined;
}

/** Which snapshots are listed. */
export const snapshotQuery: z.ZodType<SnapshotQuery> = z.strictObject({
  ...pageFields,
  source: nameText.optional().meta({ description: 'those of one source alone' }),
});

/** What is to be restored, and where to. */
export interface RestoreRequest {
  readonly snapshot: string;
  readonly path?: string | undefined;
  readonly target: string;
}

/** What is to be restored, and where to. */
export const restoreRequestSchema: z.ZodType<RestoreRequest> = z.strictObject({
  snapshot: z
    .string()
    .regex(/^[0-9a-f]{8,64}$/, 'must be the id of a snapshot, or at least 8 digits of it')
    .meta({ description: 'its id, or the beginning of it' }),
  path: absolutePath.optional().meta({
    description: 'a folder in the snapshot; the whole snapshot where nothing is said',
  }),
  target: absolutePath.meta({
    description: 'a folder of the machine of the server that is not there yet',
  }),
});

/** What is told of a snapshot. */
export interface SnapshotView {
  readonly id: string;
  readonly time: string;
  readonly host?: string | undefined;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly complete: boolean;
  readonly files?: number | undefined;
  readonly bytes?: number | undefined;
}

/** What is told of a snapshot. */
export const snapshotView: z.ZodType<SnapshotView> = z.object({
  id: z.string(),
  time: z.iso.datetime().meta({ description: 'RFC 3339, UTC' }),
  host: z.string().optional(),
  paths: z.array(z.string()),
  tags: z.array(z.string()),
  complete: z.boolean().meta({ description: 'false: its backup could not store everything' }),
  files: z.number().optional(),
  bytes: z.number().optional(),
});
