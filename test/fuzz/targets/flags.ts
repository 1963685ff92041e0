import { isGroup, type Command, type CommandEntry } from '../../../src/cli/command.ts';
import { globalFlags } from '../../../src/cli/global-flags.ts';
import { readFlags, refuseUnknown, splitArguments } from '../../../src/cli/parse.ts';
import { loadAllCommands } from '../../../src/cli/registry.ts';
import { Variables } from '../../../src/cli/variables.ts';
import { answerOf, must } from '../expect.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import type { FuzzRandom } from '../random.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

let commands: readonly Command[] = [];
let words: readonly string[] = [];

function flatten(entry: CommandEntry): readonly Command[] {
  return isGroup(entry) ? entry.commands : [entry];
}

/** Arguments of the command line, a line each: taken apart with the flags of every command, never carried out. */
export const flagsTarget: FuzzTarget = {
  name: 'flags',
  runsInCi: 20,
  seeds: async () => {
    commands = (await loadAllCommands()).flatMap(flatten);
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
    for (const command of commands) {
      const table = { ...globalFlags, ...command.flags };
      const parsed = splitArguments(args, table);
      answerOf(() => refuseUnknown(parsed, table), 'USAGE');
      const values = answerOf(() => readFlags(table, parsed, variables), 'USAGE');
      if (!values.isGiven) continue;
      const isKnown = Object.keys(values.value).every((key) => Object.hasOwn(table, key));
      must(isKnown, 'values are those of flags');
    }
  },
};

function withFlag(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  const value = random.pick(['', '=', '=x', '=1e9', '=-1', '=99999999999999999999', '=true']);
  const names = [...words, '--__proto__', '--constructor', '--toString', '-_', '--no-json'];
  lines.splice(random.below(lines.length + 1), 0, `${random.pick(names)}${value}`);
  return Uint8Array.from(Buffer.from(lines.join('\n')));
}
