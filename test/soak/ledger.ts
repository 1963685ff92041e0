/** One long run of one suite. */
export interface SoakEntry {
  readonly suite: string;
  /** Day it ended, UTC. */
  readonly day: string;
  /** What was tested: the commit checked out, with `+` if there were changes besides. */
  readonly commit: string;
  readonly seed: number;
  readonly runs: number;
  readonly seconds: number;
  readonly failures: number;
}

/** A ledger entered into another: the new ones last. */
export function appended(
  entries: readonly SoakEntry[],
  more: readonly SoakEntry[],
): readonly SoakEntry[] {
  return [...entries, ...more];
}

/** The ledger as a file: an entry a line. */
export function formatLedger(entries: readonly SoakEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

export function parseLedger(text: string): readonly SoakEntry[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as SoakEntry);
}

interface SoakTotal {
  readonly suite: string;
  runs: number;
  seconds: number;
  failures: number;
  seeds: Set<number>;
  last: SoakEntry;
}

/** The page that people read: totals a suite. */
export function renderLedger(
  entries: readonly SoakEntry[],
  counts: ReadonlyMap<string, string>,
): string {
  const totals = new Map<string, SoakTotal>();
  for (const entry of entries) {
    const { suite, seed } = entry;
    const none = { suite, runs: 0, seconds: 0, failures: 0, seeds: new Set<number>(), last: entry };
    const total = totals.get(suite) ?? none;
    total.runs += entry.runs;
    total.seconds += entry.seconds;
    total.failures += entry.failures;
    total.seeds.add(seed);
    total.last = entry;
    totals.set(suite, total);
  }
  const rows = [...totals.values()]
    .toSorted((a, b) => (a.suite < b.suite ? -1 : 1))
    .map((total) => rowOf(total, counts.get(total.suite) ?? 'runs'));
  return [...head, ...aligned([titles, ...rows]), ''].join('\n');
}

const head: readonly string[] = [
  '# Long runs',
  '',
  'What `npm run soak` ran so far, in all. `test/soak/ledger.jsonl` has every run; this page is written from it, and a test keeps',
  'them equal. A failure that was found here was mended and its input kept as a case in `test/fuzz/cases/`; it stays counted.',
  '',
];

const titles: readonly string[] = [
  'suite',
  'runs',
  '',
  'seeds',
  'minutes',
  'failures',
  'last run',
  'commit',
];

function rowOf(total: SoakTotal, counts: string): readonly string[] {
  const { suite, runs, seconds, failures, seeds, last } = total;
  return [
    suite,
    grouped(runs),
    counts,
    String(seeds.size),
    (seconds / 60).toFixed(1),
    String(failures),
    last.day,
    last.commit,
  ];
}

/** `1234567` as `1,234,567`. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A table of Markdown as the formatter would write it. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = titles.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length), 3));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const [first = [], ...rest] = rows.map(line);
  return [String(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest];
}
