import { type ErrorCode, type ErrorRow, errorTable } from '../src/base/errors.ts';

/** The lines of the table of `docs/ERRORS.md`, one for each code, as the source has them. */
export function errorLines(
  table: Readonly<Partial<Record<ErrorCode, ErrorRow>>> = errorTable,
): string[] {
  return Object.entries(table).map(([code, row]) => {
    const hint = row.hint === undefined ? '' : ` ${row.hint}`;
    const text = `${row.summary}.${hint}`.replaceAll('|', '\\|');
    return `| \`${code}\` | ${text} | ${row.retry} | ${row.scope} | ${row.exitCode} | ${row.httpStatus} |`;
  });
}
