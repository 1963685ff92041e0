import type { FileStat } from '../storage/backend.ts';

/** Both forms of a list: names alone, or objects with sizes. */
export type Format = 'v1' | 'v2';

/** What each form is called in `Accept` and `Content-Type`. */
export const listTypes: Readonly<Record<Format, string>> = {
  v1: 'application/vnd.x.restic.rest.v1',
  v2: 'application/vnd.x.restic.rest.v2',
};

/** The JSON of a list, piece by piece. Names are of hex digits alone, so nothing in it needs escapes. */
export async function* listPieces(
  batches: AsyncIterable<readonly FileStat[]>,
  format: Format,
): AsyncGenerator<string, void, undefined> {
  let separator = '[';
  for await (const batch of batches) {
    const items = batch.map(({ name, sizeBytes }) =>
      format === 'v2' ? `{"name":"${name}","size":${sizeBytes}}` : `"${name}"`,
    );
    yield separator + items.join(',');
    separator = ',';
  }
  yield separator === '[' ? '[]' : ']';
}
