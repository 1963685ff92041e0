import { defined } from '../../src/base/assert.ts';
import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import { parsePolynomial } from '../../src/kernels/polynomial.ts';
import { createRepository } from '../../src/repository/repository.ts';
import { MemoryBackend } from '../../src/storage/memory/memory-backend.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import { toHex } from '../../src/base/bytes.ts';
import { ClientTime } from './client-time.ts';
import {
  type Actor,
  cheapScrypt,
  type ClientOperation,
  runBackup,
  runForget,
  runInstantPrune,
  runPrune,
  runRepairIndex,
  runCheck,
  runKeyAdd,
  runPasswd,
  runRestore,
  runTag,
  runUnlock,
} from './operations.ts';
import {
  runForeignBackup,
  runForeignForget,
  runForeignPrune,
  runForeignUnlock,
} from './foreign-client.ts';
import { Oracle } from './oracle.ts';
import type { Plant } from './planted.ts';
import { type Profile, profileOf } from './profile.ts';
import type { Seeded } from './seeded.ts';
import { SimulatedFolder } from './simulated-folder.ts';
import { type Fate, type Machine, SimulatedProcess } from './simulated-process.ts';
import { SimulatedStore } from './simulated-store.ts';
import { Weather } from './weather.ts';
import { type Place, World } from './world.ts';

/** One for all seeds: no file is as long as a cut could be, and its tables take a while to make. */
const polynomial = parsePolynomial('3da3358b4dc173');

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** What a run gave. */
export interface SimulationResult {
  readonly seed: number;
  readonly failures: readonly string[];
  /** What happened, in order. */
  readonly notes: readonly string[];
  /** Hash of `notes`: the same for every run of the seed. */
  readonly print: string;
  readonly eventCount: number;
  readonly days: number;
  /** How often what ended how. */
  readonly outcomes: ReadonlyMap<string, number>;
}

export interface SimulationOptions {
  /** A mistake that is to be found. */
  readonly plant?: Plant;
  readonly profile?: Partial<Profile>;
}

/** Runs everything that a seed decides. */
export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  const world = new World(seed);
  world.plant = options.plant ?? {};
  world.keepDeleteMs = world.plant.keepDeleteMs ?? world.keepDeleteMs;
  const profile = { ...profileOf(world.random), ...options.profile };
  world.mustBeSound = profile.listingLagMsMax === 0 && profile.climate.garbles === 0;
  const startMs = world.queue.nowMs;
  const simulation = new Simulation(world, profile);
  let isDone = false;
  const run = simulation.run().then(
    () => (isDone = true),
    (error: unknown) => {
      world.fail(`the simulation broke: ${error instanceof Error ? error.stack : String(error)}`);
      isDone = true;
    },
  );
  const hasEnded = await world.queue.runUntil(() => isDone || world.failures.length > 0);
  if (!hasEnded) world.fail('liveness: something waits for what never happens');
  simulation.stop();
  if (isDone) await run;
  return {
    seed,
    failures: world.failures,
    notes: world.notes,
    print: toHex(sha256(Buffer.from(world.notes.join('\n')))).slice(0, 16),
    eventCount: world.queue.eventCount,
    days: (world.queue.nowMs - startMs) / dayMs,
    outcomes: world.outcomes,
  };
}

/** One client: its machine and what it protects. */
interface Client {
  readonly machine: Machine;
  readonly folder: SimulatedFolder;
  readonly random: Seeded;
  readonly operations: typeof operations;
}

/** What a client does, and how often. */
const operations: readonly (readonly [name: string, weight: number, run: ClientOperation])[] = [
  ['backup', 10, runBackup],
  ['restore', 2, runRestore],
  ['check', 2, runCheck],
  ['tag', 1, runTag],
  ['passwd', 0.5, runPasswd],
  ['key add', 0.3, runKeyAdd],
  ['unlock', 1, runUnlock],
  ['forget', 2, runForget],
  ['repair index', 0.5, runRepairIndex],
  ['prune', 3, runPrune],
  ['instant prune', 1, runInstantPrune],
];

/** What the client does that is another program. */
const foreignOperations: typeof operations = [
  ['foreign backup', 5, runForeignBackup],
  ['foreign forget', 1, runForeignForget],
  ['foreign prune', 1, runForeignPrune],
  ['foreign unlock', 1, runForeignUnlock],
];

/** Clocks that are wrong by more may make a lock look left that is held. */
const clockErrorMsMax = 5 * 60_000;

const deletingAtOnce: ReadonlySet<string> = new Set(['instant prune', 'foreign prune']);

function chooseOf({ operations: todo, random }: Client): (typeof operations)[number] {
  const total = todo.reduce((sum, [, weight]) => sum + weight, 0);
  let at = random.fraction() * total;
  return defined(
    todo.find(([, weight]) => (at -= weight) < 0) ?? todo[0],
    'there is something to do',
  );
}

function operationNamed(name: string): (typeof operations)[number] {
  return defined(
    operations.find(([each]) => each === name),
    'there is such an operation',
  );
}

/** What an operation may end with when others, the storage or a killer are in its way. */
const expectedCodes = [
  'CANCELLED',
  'REPOSITORY_LOCKED',
  'LOCK_LOST',
  'LOCK_DAMAGED',
  'BACKEND_UNAVAILABLE',
  'STORAGE_FULL',
  'READ_ONLY',
  'PERMISSION_DENIED',
  // A prune before the first snapshot.
  'PRUNE_REFUSED',
] as const;

class Simulation {
  readonly #world: World;
  readonly #profile: Profile;
  readonly #processes = new Set<SimulatedProcess>();
  #isOver = false;

  constructor(world: World, profile: Profile) {
    this.#world = world;
    this.#profile = profile;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const profile = this.#profile;
    const { random } = world;
    const place = await this.#createPlace();
    const clients = Array.from({ length: profile.clientCount }, (_, i) => this.#newClient(i));
    await Promise.all([this.#live(clients, place), this.#troubles(place), this.#clocks(clients)]);
    place.weather.calmDown();
    place.store.settle();
    world.note('everything is well from now on');
    world.mustBeSound = true;
    await world.sleep(hourMs);
    const unlock = operationNamed('unlock');
    for (const client of clients) await this.#do(client, place, { choice: unlock, isCalm: true });
    for (const client of clients) await this.#mustEnd(client, place, ['backup', 'complete']);
    const client = random.pick(clients);
    await this.#mustEnd(client, place, ['check', 'sound']);
    await this.#mustEnd(client, place, ['restore', 'restored']);
    const locks = place.store.namesOf('lock');
    if (locks.length > 0) world.fail(`liveness: ${locks.length} locks are stuck`);
  }

  /** Ends what still runs. */
  stop(): void {
    for (const process of this.#processes) process.kill();
  }

  async #createPlace(): Promise<Place> {
    const world = this.#world;
    const { listingLagMsMax } = this.#profile;
    const climate = { ...this.#profile.climate, powerCuts: this.#profile.powerCuts };
    const { queue } = world;
    const random = world.random.fork();
    const traits = { listingLagMsMax, losesStored: world.plant.losesStored === true };
    const store = new SimulatedStore('simulated', { queue, random, traits });
    const environment = {
      clock: new ClientTime(queue, { skewMs: 0 }),
      random: world.random.fork(),
      isSingleThreaded: true,
    } as const;
    const repository = await createRepository(new MemoryBackend(store.files), {
      environment,
      password: Buffer.from(world.password),
      hostname: 'first',
      username: 'user',
      scrypt: cheapScrypt,
      version: world.random.oneIn(8) ? 1 : 2,
      polynomial,
    });
    const fail = (what: string): void => world.fail(what);
    const { attempts } = world;
    const oracle = new Oracle({ store, repository, attempts, fail });
    const weather = new Weather(queue, world.random.fork(), climate);
    weather.onPowerCut = (call) => {
      const undone = store.cutPower();
      world.note(`the storage loses power at ${call.operation}, ${undone} removals are undone`);
      weather.begin('outage', world.random.between(0.1, 20) * 60_000);
    };
    return { store, oracle, weather };
  }

  #newClient(number: number): Client {
    const { random } = this.#world;
    const { skewMsMax } = this.#profile;
    const skewMs = skewMsMax === 0 ? 0 : Math.round((random.fraction() * 2 - 1) * skewMsMax);
    const machine: Machine = { name: `c${number}`, skewMs, living: new Set() };
    const folder = new SimulatedFolder(random.fork());
    const isForeign = number === 0 && this.#profile.hasForeign;
    const { listingLagMsMax } = this.#profile;
    // What deletes at once trusts listings and clocks, as restic does.
    const isTrusting = listingLagMsMax === 0 && skewMsMax < clockErrorMsMax;
    const todo = (isForeign ? foreignOperations : operations).filter(
      ([name]) => isTrusting || !deletingAtOnce.has(name),
    );
    return { machine, folder, random: random.fork(), operations: todo };
  }

  /** What clients do: now and then all of them, within seconds or hours of each other, one thing each. */
  async #live(clients: readonly Client[], place: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { rounds, pauseHoursMax } = this.#profile;
    const running: Promise<unknown>[] = [];
    const busy = new Set<Client>();
    for (let round = 0; round < rounds; round++) {
      const withinMs = random.between(1, 4 * 3600) * 1000;
      for (const client of clients) {
        if (busy.has(client) || random.oneIn(6)) continue;
        busy.add(client);
        const turn = world.sleep(withinMs * random.fraction()).then(async () => {
          client.folder.change(world.queue.nowMs);
          await this.#do(client, place, { choice: chooseOf(client) });
          busy.delete(client);
        });
        running.push(turn);
      }
      await world.sleep(withinMs + random.between(0.01, pauseHoursMax) * hourMs);
    }
    await Promise.all(running);
    this.#isOver = true;
  }

  async #do(
    client: Client,
    place: Place,
    how: { readonly choice: (typeof operations)[number]; readonly isCalm?: boolean },
  ): Promise<string> {
    const world = this.#world;
    const { machine, folder, random } = client;
    const fates = how.isCalm ? [] : this.#fatesOf(random);
    const process = new SimulatedProcess(world, { machine, pid: world.nextPid(), fates });
    this.#processes.add(process);
    const [name, , run] = how.choice;
    world.note(`${process.name} ${name}`);
    const retryMs = how.isCalm || random.oneIn(3) ? { retryMs: hourMs } : {};
    const actor: Actor = { world, process, place, folder, ...retryMs };
    const outcome = await run(actor).catch((error: unknown) => this.#outcomeOf(process, error));
    process.exit();
    this.#processes.delete(process);
    world.note(`${process.name} ${name}: ${outcome}`);
    world.count(`${name}: ${outcome}`);
    return outcome;
  }

  #outcomeOf(process: SimulatedProcess, error: unknown): string {
    const world = this.#world;
    if (isHoldfastError(error, ...expectedCodes)) return error.code;
    if (error instanceof HoldfastError && !world.mustBeSound) return error.code;
    if (!process.time.isAlive) return 'died';
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.fail(`${process.name} ended with ${what}`);
    return 'unexpected';
  }

  #fatesOf(random: Seeded): Fate[] {
    const { deaths, pauses } = this.#profile;
    const fates: Fate[] = [];
    const atCall = (): number => Math.floor(random.between(1, 120)) - 1;
    const when = random.oneIn(2) ? 'before' : 'after';
    if (random.chance(deaths)) fates.push({ atCall: atCall(), when, kind: 'death', pauseMs: 0 });
    if (random.chance(pauses)) {
      const pauseMs = random.between(1 / 60, 7 * 24) * hourMs;
      const kind = random.oneIn(2) ? 'stopped' : 'asleep';
      fates.push({ atCall: atCall(), when: 'after', kind, pauseMs });
    }
    return fates;
  }

  async #troubles(place: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { troubles } = this.#profile;
    if (troubles === 0) return;
    for (;;) {
      await world.sleep((random.between(0.1, 2) * dayMs) / troubles);
      if (this.#isOver) return;
      const trouble = random.pick(['outage', 'full', 'read-only', 'denied'] as const);
      world.note(`the storage: ${trouble}`);
      place.weather.begin(trouble, random.between(1, 300) * 60_000);
    }
  }

  async #clocks(clients: readonly Client[]): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { skewMsMax } = this.#profile;
    if (skewMsMax === 0) return;
    for (;;) {
      await world.sleep(random.between(0.1, 3) * dayMs);
      if (this.#isOver) return;
      const { machine } = random.pick(clients);
      machine.skewMs = Math.round((random.fraction() * 2 - 1) * skewMsMax);
      world.note(`the clock of ${machine.name} is ahead by ${machine.skewMs} ms`);
    }
  }

  /** Everything works again: then everything must end well. */
  async #mustEnd(client: Client, place: Place, [name, wanted]: [string, string]): Promise<void> {
    const choice = operationNamed(name);
    const outcome = await this.#do(client, place, { choice, isCalm: true });
    const isPartial = name === 'backup' && outcome === 'partial';
    if (outcome === wanted || isPartial) return;
    this.#world.fail(`liveness: ${name} of ${client.machine.name} ended with ${outcome}`);
  }
}
