import { defined } from '../../src/base/assert.ts';
import {
  runForget,
  runInstantPrune,
  runKeyAdd,
  runKeyRemove,
  runMigrate,
  runParity,
  runPasswd,
  runPrune,
  runPruneTwice,
  runUnlock,
} from './care.ts';
import {
  runForeignBackup,
  runForeignForget,
  runForeignPrune,
  runForeignUnlock,
} from './foreign-client.ts';
import { runMend, runMendWhole } from './mend.ts';
import { type ClientOperation, runBackup, runCheck, runRestore } from './operations.ts';
import type { Profile } from './profile.ts';
import { copyTo, runRecover, runRepairIndex, runRewrite, runTag } from './reshape.ts';
import type { Seeded } from './seeded.ts';
import { SimulatedFolder } from './simulated-folder.ts';
import type { Machine } from './simulated-process.ts';
import type { Place, World } from './world.ts';

/** Something that a client does, and how often. */
export interface Choice {
  readonly name: string;
  readonly weight: number;
  readonly run: ClientOperation;
}

/** One client: its machine and what it protects. */
export interface Client {
  readonly machine: Machine;
  readonly folder: SimulatedFolder;
  readonly random: Seeded;
  readonly choices: readonly Choice[];
  /** It is another program, which knows restic's locks alone. */
  readonly isForeign: boolean;
}

function choice(name: string, weight: number, run: ClientOperation): Choice {
  return { name, weight, run };
}

/** What a client does with the first repository. */
const common: readonly Choice[] = [
  choice('backup', 18, runBackup),
  choice('restore', 2, runRestore),
  choice('check', 2, runCheck),
  choice('tag', 0.8, runTag),
  choice('rewrite', 0.8, runRewrite),
  choice('passwd', 0.4, runPasswd),
  choice('key add', 0.6, runKeyAdd),
  choice('key remove', 0.6, runKeyRemove),
  choice('unlock', 0.7, runUnlock),
  choice('forget', 2.5, runForget),
  choice('repair index', 0.4, runRepairIndex),
  choice('recover', 0.8, runRecover),
  choice('migrate', 0.6, runMigrate),
  choice('parity', 0.4, runParity),
  choice('mend', 0.3, runMend),
  choice('prune', 4, runPrune),
  choice('prune twice', 1, runPruneTwice),
  choice('instant prune', 1, runInstantPrune),
];

/** What it does with the second. */
const ofSecond: readonly Choice[] = [
  choice('restore', 0.5, runRestore),
  choice('check', 0.5, runCheck),
  choice('forget', 1, runForget),
  choice('prune', 1.5, runPrune),
  choice('unlock', 0.3, runUnlock),
];

/** What the client does that is another program. */
const foreign: readonly Choice[] = [
  choice('foreign backup', 5, runForeignBackup),
  choice('foreign forget', 2, runForeignForget),
  choice('foreign prune', 3, runForeignPrune),
  choice('foreign unlock', 1, runForeignUnlock),
];

const operations = new Map([
  ...common.map((each) => [each.name, each.run] as const),
  ['mend whole', runMendWhole] as const,
]);

/** Clocks that are wrong by more may make a lock look left that is held. */
const clockErrorMsMax = 5 * 60_000;

/** What is done more often where files are damaged. */
const ofDamage: ReadonlySet<string> = new Set(['mend', 'parity']);

const deletingAtOnce: ReadonlySet<string> = new Set(['instant prune', 'foreign prune', 'mend']);

/** An operation by its name. */
export function choiceNamed(name: string): Choice {
  return choice(name, 1, defined(operations.get(name), 'there is such an operation'));
}

export function chooseOf({ choices, random }: Client): Choice {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let at = random.fraction() * total;
  const chosen = choices.find(({ weight }) => (at -= weight) < 0);
  return defined(chosen ?? choices[0], 'there is something to do');
}

/** Client number `number`. */
export function newClient(world: World, profile: Profile, number: number): Client {
  const { random } = world;
  const { skewMsMax, listingLagMsMax, hasForeign, damages } = profile;
  const skewMs = skewMsMax === 0 ? 0 : Math.round((random.fraction() * 2 - 1) * skewMsMax);
  const machine: Machine = { name: `c${number}`, skewMs, living: new Set() };
  const folder = new SimulatedFolder(random.fork());
  const isForeign = number === 0 && hasForeign;
  // What deletes at once trusts listings and clocks, as restic does.
  const isTrusting = listingLagMsMax === 0 && skewMsMax < clockErrorMsMax;
  const [, second] = world.places;
  const own = isForeign ? foreign : [...common, ...(second ? choicesOfSecond(second) : [])];
  const choices = own
    .filter(({ name }) => isTrusting || !deletingAtOnce.has(name))
    .map((each) => (damages > 0 && ofDamage.has(each.name) ? { ...each, weight: 2 } : each));
  return { machine, folder, random: random.fork(), choices, isForeign };
}

function choicesOfSecond(second: Place): Choice[] {
  const there = ofSecond.map(({ name, weight, run }) =>
    choice(`second ${name}`, weight, (actor) => run({ ...actor, place: second })),
  );
  return [choice('copy', 3, copyTo(second)), ...there];
}
