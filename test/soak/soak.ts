import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { appended, formatLedger, parseLedger, renderLedger, type SoakEntry } from './ledger.ts';
import { type SoakSuite, soakSuites } from './suites.ts';

const root = path.join(import.meta.dirname, '../..');
const ledgerPath = path.join(import.meta.dirname, 'ledger.jsonl');
const pagePath = path.join(root, 'docs/SOAK.md');

const usage = `npm run soak -- [--seconds N] [--seed N] [--dry] [SUITE...]

Runs suites of tests for long, one after the other, and enters what they did into test/soak/ledger.jsonl and docs/SOAK.md.

  --seconds N   of each suite that can be told, default 60
  --seed N      default: a new one for each suite
  --dry         enters nothing
  SUITE         a name, or the beginning of several names; default all:
`;

function git(...args: readonly string[]): string {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();
}

function commitName(): string {
  // What earlier suites entered is no change of what is tested.
  const tested = ['.', ':!test/soak/ledger.jsonl', ':!docs/SOAK.md'];
  const isChanged = git('status', '--porcelain', '--', ...tested) !== '';
  return `${git('rev-parse', '--short=10', 'HEAD')}${isChanged ? '+' : ''}`;
}

/** Runs a suite and prints what it says on standard error. */
async function run(suite: SoakSuite, order: { seconds: number; seed: number }): Promise<SoakEntry> {
  const { args, variables } = suite.command(order);
  const commit = commitName();
  const startMs = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...variables, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  const isWell = await new Promise<boolean>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve(exitCode === 0));
  });
  const output = Buffer.concat(parts).toString('utf8');
  const { runs, failures } = suite.totals(output);
  if (!isWell) console.error(output.slice(-4000));
  return {
    suite: suite.name,
    day: new Date(performance.timeOrigin + performance.now()).toISOString().slice(0, 10),
    commit,
    seed: order.seed,
    runs,
    seconds: Math.round((performance.now() - startMs) / 1000),
    failures: isWell ? failures : Math.max(1, failures),
  };
}

function enter(more: readonly SoakEntry[]): void {
  // Read again: another run may have ended meanwhile.
  const entries = appended(parseLedger(readFileSync(ledgerPath, 'utf8')), more);
  writeFileSync(ledgerPath, formatLedger(entries));
  const counts = new Map(soakSuites.map(({ name, counts }) => [name, counts]));
  writeFileSync(pagePath, renderLedger(entries, counts));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string' },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const names = new Set(soakSuites.map(({ name }) => name));
  const isWanted = ({ name }: SoakSuite): boolean =>
    positionals.length === 0 ||
    positionals.some((text) => (names.has(text) ? name === text : name.startsWith(text)));
  const wanted = soakSuites.filter(isWanted);
  if (values.help || wanted.length === 0) {
    console.log(usage + soakSuites.map(({ name }) => `    ${name}`).join('\n'));
    return values.help ? 0 : 1;
  }
  let failures = 0;
  for (const suite of wanted) {
    const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
    const entry = await run(suite, { seconds: Number(values.seconds), seed });
    failures += entry.failures;
    console.log(
      `${entry.suite}: ${entry.runs} ${suite.counts}, ${entry.failures} failures, seed ${seed}`,
    );
    if (!values.dry) enter([entry]);
  }
  return failures > 0 ? 1 : 0;
}

process.exitCode = await main();
