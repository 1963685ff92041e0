const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's `time.ParseDuration`, not negative: `90s`, `1h30m`, `1.5h`, `0`. In milliseconds; undefined for what is none. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
  let sum = 0;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (!match) return undefined;
    sum += Number(match[1]) * (unitsMs[match[2] ?? ''] ?? Number.NaN);
  }
  return text === '' ? undefined : sum;
}

/** For people, in the unit that fits, rounded: `5 min`, `12 h`, `3.5 h`. */
export function durationText(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 6) / 10} h`;
}
