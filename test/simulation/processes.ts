import { spawn } from 'node:child_process';

/** What each process tells as its last line; the numbers are added up, and those of inner objects. */
interface Told {
  [name: string]: number | Record<string, number>;
}

/**
 * Runs seeds in several processes at once, each taking every n-th, and adds up what they tell.
 * @param how `args` of each process, to which its seed and step are added
 */
export async function runProcesses(
  program: string,
  how: { readonly count: number; readonly seed: number; readonly args: readonly string[] },
): Promise<Told> {
  const { count, seed, args } = how;
  const told = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      run([program, ...args, '--processes=1', `--seed=${seed + i}`, `--step=${count}`]),
    ),
  );
  return told.reduce(sum, {});
}

/** What a seed makes is gone when it ends: with little room, a tenth of the time goes by collecting it. */
export const youngSpace = '--max-semi-space-size=64';

async function run(args: readonly string[]): Promise<Told> {
  const child = spawn(process.execPath, [youngSpace, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const line = Buffer.concat(parts).toString('utf8').trim().split('\n').at(-1) ?? '';
  // One that broke has at least one failure.
  return line.startsWith('{') ? (JSON.parse(line) as Told) : { failures: 1 };
}

function sum(a: Told, b: Told): Told {
  const both: Told = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = both[name];
    if (name === 'failedSeed') both[name] = Math.min(Number(value), Number(before ?? value));
    else if (typeof value === 'number')
      both[name] = value + (typeof before === 'number' ? before : 0);
    else
      both[name] = sum(typeof before === 'object' ? before : {}, value) as Record<string, number>;
  }
  return both;
}
