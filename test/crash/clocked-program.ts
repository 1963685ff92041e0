import { readFileSync } from 'node:fs';

import { type Clock, systemClock } from '../../src/base/clock.ts';
import { systemEnvironment } from '../../src/base/environment.ts';
import { runCommand } from '../tools/in-process.ts';

// The program with a wall clock that is ahead by what a file says at the moment, as after a machine slept: its monotonic
// clock stood still. `node clocked-program.ts FILE ARGUMENT...`.
const [file = '', ...args] = process.argv.slice(2);

function aheadMs(): number {
  return Number(readFileSync(file, 'utf8'));
}

const clock: Clock = {
  ...systemClock,
  wallMs: () => systemClock.wallMs() + aheadMs(),
  wallNs: () => systemClock.wallNs() + BigInt(aheadMs()) * 1_000_000n,
};

const variables = process.env as Readonly<Record<string, string>>;
const environment = { ...systemEnvironment, clock };
const { exitCode, output, errors } = await runCommand(args, { variables, environment });
process.stdout.write(output);
process.stderr.write(errors);
process.exitCode = exitCode;
