import { fuzz } from './run-target.ts';
import { fuzzTargets } from './targets.ts';

/**
 * Feeds one target: `node test/fuzz/main.ts TARGET SECONDS SEED`. The last line is JSON with `runs` and `failures`;
 * what failed is told on standard error and kept in `cases/`.
 */
async function main([name, seconds = '10', seed = '1']: readonly string[]): Promise<number> {
  const target = fuzzTargets.find((each) => each.name === name);
  if (!target) {
    console.error(`Name one of: ${fuzzTargets.map((each) => each.name).join(', ')}`);
    return 1;
  }
  const { runs, failure } = await fuzz(target, { seed: Number(seed), seconds: Number(seconds) });
  if (failure) console.error(failure.text);
  console.log(JSON.stringify({ runs, failures: failure ? 1 : 0 }));
  return failure ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
