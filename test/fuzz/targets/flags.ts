import {
  type Command,
  type CommandEntry,
  type FlagTable,
  isGroup,
} from '../../../src/cli/command.ts';
import { globalFlags } from '../../../src/cli/global-flags.ts';
import { readFlags, refuseUnknown, splitArguments } from '../../../src/cli/parse.ts';
import { loadAllCommands } from '../../../src/cli/registry.ts';
import { Variables } from '../../../src/cli/variables.ts';
import { answerOf, must } from '../expect.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import type { FuzzRandom } from '../random.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** Flags of each command, with those of all. */
let tables: readonly FlagTable[] = [];
/** Commands that one input is taken apart for: which ones follows from it. Each has most of its flags in common. */
const commandsPerInput = 3;
let words: readonly string[] = [];

function flatten(entry: CommandEntry): readonly Command[] {
  return isGroup(entry) ? entry.commands : [entry];
}

/** Arguments of the command line, a line each: taken apart with the flags of some commands, never carried out. */
export const flagsTarget: FuzzTarget = {
  name: 'flags',
  runsInCi: 300,
  seeds: async () => {
    const commands = (await loadAllCommands()).flatMap(flatten);
    tables = commands.map((command) => ({ ...globalFlags, ...command.flags }));
    const flags = commands.flatMap((command) => Object.values(command.flags));
    words = [
      ...new Set(
        flags.flatMap(({ name, short }) => [`--${name}`, ...(short ? [`-${short}`] : [])]),
      ),
    ];
    return textSeeds(
      'backup\n-r\n/srv\n--tag=a,b\n-x\n--exclude\n*.o\n/home',
      'restore\nlatest:sub\n--target\n/x\n--include=*.c\n-vv\n--verbose=2',
      '--json\nls\n-l\nlatest\n--\n--not-a-flag\n-',
      'init\n--repository-version=2\n--pack-size\n16\n-o\ns3.x=y\n--retry-lock=1h',
    );
  },
  mutate: (seed, random) => {
    const bytes = mutateBytes(seed, random, 4096);
    return random.oneIn(2) ? bytes : withFlag(bytes, random);
  },
  run: (input) => {
    const args = Buffer.from(input).toString('utf8').split('\n');
    const variables = new Variables({});
    for (const table of tablesFor(input)) {
      const parsed = splitArguments(args, table);
      answerOf(() => refuseUnknown(parsed, table), 'USAGE');
      const values = answerOf(() => readFlags(table, parsed, variables), 'USAGE');
      if (!values.isGiven) continue;
      const isKnown = Object.keys(values.value).every((key) => Object.hasOwn(table, key));
      must(isKnown, 'values are those of flags');
    }
  },
};

function tablesFor(input: Uint8Array): readonly FlagTable[] {
  const start = input.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, input.length);
  return Array.from(
    { length: commandsPerInput },
    (_, nth) => tables[(start + nth) % tables.length] ?? globalFlags,
  );
}

function withFlag(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  const value = random.pick(['', '=', '=x', '=1e9', '=-1', '=99999999999999999999', '=true']);
  const names = [...words, '--__proto__', '--constructor', '--toString', '-_', '--no-json'];
  lines.splice(random.below(lines.length + 1), 0, `${random.pick(names)}${value}`);
  return Uint8Array.from(Buffer.from(lines.join('\n')));
}
