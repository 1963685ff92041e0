import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { fuzzTargets } from '../fuzz/targets.ts';
import { appended, formatLedger, parseLedger, renderLedger, type SoakEntry } from './ledger.ts';
import { soakSuites } from './suites.ts';

const root = path.join(import.meta.dirname, '../..');

/** What a run of tests prints. */
function said(...lines: string[]): string {
  return ['stdout | a test', ...lines, ''].join('\n');
}

const entry: SoakEntry = {
  suite: 'fuzz-tree',
  day: '2026-01-31',
  commit: '0123456789',
  seed: 7,
  runs: 1_234_567,
  seconds: 90,
  failures: 0,
};

describe('the ledger', () => {
  test('comes back as it was written', () => {
    const entries = appended([entry], [{ ...entry, seed: 8 }]);
    expect(parseLedger(formatLedger(entries))).toEqual(entries);
  });

  test('is rendered as totals', () => {
    const page = renderLedger(
      [entry, { ...entry, seed: 8, failures: 1, day: '2026-02-01' }],
      new Map(),
    );
    expect(page.split('\n').slice(-4)).toMatchInlineSnapshot(`
      [
        "| suite     | runs      |      | seeds | minutes | failures | last run   | commit     |",
        "| --------- | --------- | ---- | ----- | ------- | -------- | ---------- | ---------- |",
        "| fuzz-tree | 2,469,134 | runs | 2     | 3.0     | 1        | 2026-02-01 | 0123456789 |",
        "",
      ]
    `);
  });

  test('and its page are equal', () => {
    const entries = parseLedger(readFileSync(path.join(root, 'test/soak/ledger.jsonl'), 'utf8'));
    const counts = new Map(soakSuites.map(({ name, counts }) => [name, counts]));
    const page = readFileSync(path.join(root, 'docs/SOAK.md'), 'utf8');
    expect(page).toBe(renderLedger(entries, counts));
  });
});

describe('the suites', () => {
  test('have every fuzz target', () => {
    const names = soakSuites.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(fuzzTargets.map(({ name }) => `fuzz-${name}`)));
  });

  test('read their totals', () => {
    const [fuzz] = soakSuites;
    const tests = soakSuites.find(({ name }) => name === 'damage');
    expect(fuzz?.totals('x\n{"runs":5,"failures":1}\n')).toEqual({ runs: 5, failures: 1 });
    expect(fuzz?.totals('killed')).toEqual({ runs: 0, failures: 1 });
    expect(tests?.totals('\n12 passed, 3 failed\n')).toEqual({ runs: 15, failures: 3 });
    expect(tests?.totals('')).toEqual({ runs: 0, failures: 1 });
  });

  test('count kills and faults by what the tests print', () => {
    const crash = soakSuites.find(({ name }) => name === 'crash-keys');
    const killed = '{"suite":"crash","operation":"init","calls":9,"kills":7,"failures":0}';
    const failed = '{"suite":"errno","operation":"check","calls":9,"runs":40,"failures":2}';
    expect(crash?.totals(said(killed, failed, '4 passed, 1 failed'))).toEqual({
      runs: 47,
      failures: 2,
    });
    expect(crash?.totals(said(killed, '3 passed, 1 failed'))).toEqual({ runs: 7, failures: 1 });
    expect(crash?.totals(said(killed, '4 passed, 0 failed'))).toEqual({ runs: 7, failures: 0 });
    // What was not counted proves nothing.
    expect(crash?.totals(said('4 passed, 0 failed'))).toEqual({ runs: 0, failures: 1 });
    expect(crash?.totals(said(killed))).toEqual({ runs: 7, failures: 1 });
  });
});
