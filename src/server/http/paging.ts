import { type PageOf, type PageQuery, pageSizeDefault } from '../../contracts/paging.ts';
import { fieldError, type Page } from '../state/estate-store.ts';

/** The page that a request asks for; one entry more tells whether there is a next. */
export function pageFrom({ limit = pageSizeDefault, cursor }: PageQuery): Page {
  const after =
    cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('utf8');
  return { after, limit: limit + 1 };
}

/** As `pageFrom`, of a list in the order of a number. @throws REQUEST_INVALID for a cursor of another list */
export function numberedPageFrom(query: PageQuery): Page<number> {
  const { after, limit } = pageFrom(query);
  if (after === undefined) return { after, limit };
  if (!/^\d{1,15}$/.test(after)) {
    throw fieldError([
      { path: ['query', 'cursor'], message: 'must be the "next" of an earlier answer' },
    ]);
  }
  return { after: Number(after), limit };
}

/** The page of the rows that `pageFrom` asked for. @param keyOf what the list is in the order of */
export function pageAnswer<R, T>(
  rows: readonly R[],
  { limit }: Page<unknown>,
  how: { readonly keyOf: (row: R) => string | number; readonly view: (row: R) => T },
): PageOf<T> {
  const shown = rows.slice(0, limit - 1);
  const last = shown.at(-1);
  const hasMore = rows.length > shown.length && last !== undefined;
  return {
    items: shown.map(how.view),
    ...(hasMore ? { next: Buffer.from(String(how.keyOf(last))).toString('base64url') } : {}),
  };
}

/** A stored time as an answer has it. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** As `timeText`; undefined for what did not happen. */
export function timeOrNone(ms: number | null | undefined): string | undefined {
  return ms === null || ms === undefined ? undefined : timeText(ms);
}
