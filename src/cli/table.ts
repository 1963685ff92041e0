/** A column of a text table. */
export interface Column<Row> {
  /** Heading; its width is the least width of the column. */
  readonly title: string;
  readonly alignRight?: boolean;
  /** The lines of a cell. */
  cell(row: Row): string | readonly string[];
}

const gap = '  ';

/** What a table has besides its rows. */
export interface TableOptions {
  /** Lines below the table. */
  readonly footer?: readonly string[];
  /** An empty line between rows. */
  readonly spaced?: boolean;
}

/** A table as restic prints it: headings, a rule, the rows, a rule. Cells of several lines make the row higher. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { footer = [], spaced = false }: TableOptions = {},
): string[] {
  const cells = rows.map((row) => columns.map((column) => asLines(column.cell(row))));
  const widths = columns.map(({ title }, i) =>
    Math.max(displayWidth(title), ...cells.flatMap((row) => (row[i] ?? []).map(displayWidth))),
  );
  const rule = '-'.repeat(
    widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1)),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => pad(text, widths[i] ?? 0, columns[i]?.alignRight ?? false))
      .join(gap)
      .trimEnd();
  const body = cells.flatMap((row, position) => {
    const height = Math.max(1, ...row.map((lines) => lines.length));
    const lines = Array.from({ length: height }, (_, i) => line(row.map((cell) => cell[i] ?? '')));
    return spaced && position > 0 ? ['', ...lines] : lines;
  });
  return [line(columns.map(({ title }) => title)), rule, ...body, rule, ...footer];
}

function asLines(cell: string | readonly string[]): readonly string[] {
  return typeof cell === 'string' ? [cell] : cell;
}

function pad(text: string, width: number, alignRight: boolean): string {
  const fill = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return alignRight ? fill + text : text + fill;
}

/** Columns that a text takes on a terminal, near enough for a table. */
export function displayWidth(text: string): number {
  // oxlint-disable-next-line no-control-regex
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text.normalize('NFC')) {
    if (/\p{M}/u.test(character)) continue;
    const isWide =
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;
    width += isWide.test(character) ? 2 : 1;
  }
  return width;
}
