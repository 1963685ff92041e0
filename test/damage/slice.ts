/**
 * What `HOLDFAST_DAMAGE` asks for: `all`, or `3/8` for the third of eight parts of it; `write` takes all, too. Without it
 * samples are taken.
 */
const asked = process.env['HOLDFAST_DAMAGE'] ?? '';

/** The table of the matrix is written, not compared. */
export const writesTable: boolean = asked === 'write';

/** For tests that take hours when all is asked for. */
export const longTimeoutMs: number = asked === '' ? 300_000 : 24 * 3_600_000;

/** The share that was asked for; undefined if a sample is to be taken. */
export function shareOf<T>(items: readonly T[]): readonly T[] | undefined {
  if (asked === '') return undefined;
  if (asked === 'all' || asked === 'write') return items;
  const [, number = '0', count = '0'] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(asked) ?? [];
  if (Number(number) < 1 || Number(number) > Number(count)) {
    throw new Error(`HOLDFAST_DAMAGE is neither "all", "write" nor a part such as "3/8": ${asked}`);
  }
  return items.filter((_, nth) => nth % Number(count) === Number(number) - 1);
}
