import { toHex } from '../../src/base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../src/base/errors.ts';
import { parsePolynomial } from '../../src/kernels/polynomial.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import { createRepository } from '../../src/repository/repository.ts';
import { MemoryBackend } from '../../src/storage/memory/memory-backend.ts';
import { ClientTime } from './client-time.ts';
import { type Choice, choiceNamed, chooseOf, type Client, newClient } from './clients.ts';
import { isExcused } from './excuses.ts';
import { Keyring } from './keyring.ts';
import { Nemesis } from './nemesis.ts';
import { type Actor, cheapScrypt } from './operations.ts';
import { Oracle } from './oracle.ts';
import type { Plant } from './planted.ts';
import { type Profile, profileOf } from './profile.ts';
import type { Reached } from './reach.ts';
import type { Seeded } from './seeded.ts';
import { type Fate, SimulatedProcess } from './simulated-process.ts';
import { SimulatedStore, type StoreChange } from './simulated-store.ts';
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
  readonly reached: ReadonlySet<Reached>;
  /** The repositories as they are in the end. */
  readonly places: readonly Place[];
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
  const profile = { ...profileOf(world.random), ...world.plant.profile, ...options.profile };
  world.areListingsRight = profile.listingLagMsMax === 0;
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
  const hasEnded = await world.queue.runUntil(() => isDone || world.isOver);
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
    reached: world.reached,
    places: world.isBeyondCare ? [] : world.places,
  };
}

class Simulation {
  readonly #world: World;
  readonly #profile: Profile;
  readonly #processes = new Set<SimulatedProcess>();
  readonly #nemesis: Nemesis;

  constructor(world: World, profile: Profile) {
    this.#world = world;
    this.#profile = profile;
    this.#nemesis = new Nemesis(world, profile);
  }

  async run(): Promise<void> {
    const world = this.#world;
    const profile = this.#profile;
    const first = await this.#createPlace('first');
    if (profile.hasSecond) await this.#createPlace('second');
    const clients = Array.from({ length: profile.clientCount }, (_, number) =>
      newClient(world, profile, number),
    );
    // So that there is something to heal with.
    if (profile.damages > 0 && world.random.oneIn(2)) {
      for (const name of ['backup', 'parity', 'parity']) {
        await this.#do(world.random.pick(clients), first, {
          choice: choiceNamed(name),
          isCalm: true,
        });
      }
    }
    if (!world.random.oneIn(8)) await this.#begin(clients, first);
    const fate = this.#nemesis.run(clients);
    await this.#live(clients, first);
    this.#nemesis.end();
    await fate;
    for (const { weather, store } of world.places) {
      weather.calmDown();
      store.settle();
    }
    world.note('everything is well from now on');
    world.isCalm = true;
    await world.sleep(hourMs);
    await this.#endWell(clients);
  }

  /** Ends what still runs. */
  stop(): void {
    for (const process of this.#processes) process.kill();
  }

  /** Everything works again: then everybody must be able to go on. */
  async #endWell(clients: readonly Client[]): Promise<void> {
    const world = this.#world;
    const { random, places } = world;
    const [first] = places;
    if (!first) return;
    const isCalm = true;
    const client = random.pick(clients);
    // By a clock that is right all locks that were left are old by now; each machine knows its own besides.
    const unlocking = this.#profile.skewMsMax === 0 ? [client] : clients;
    for (const each of unlocking) {
      for (const place of places) {
        await this.#do(each, place, { choice: choiceNamed('unlock'), isCalm });
      }
    }
    if (this.#profile.damages > 0) {
      for (const name of ['check', 'restore', 'restore']) {
        await this.#do(client, first, { choice: choiceNamed(name), isCalm });
      }
      await this.#mustEnd(client, first, ['mend whole', 'mended', 'nothing to mend']);
    }
    for (const { store } of places) store.mended();
    for (const each of clients) await this.#mustEnd(each, first, ['backup', 'complete', 'partial']);
    await this.#mustEnd(client, first, ['forget', 'forgot']);
    await this.#mustEnd(client, first, ['prune', 'marked', 'deleted']);
    await world.sleep(dayMs + hourMs);
    await this.#mustEnd(client, first, ['prune', 'marked', 'deleted']);
    for (const place of places) {
      await this.#mustEnd(client, place, ['check', 'sound']);
      await this.#mustEnd(client, place, ['restore', 'restored', 'nothing there']);
      // What a power cut left empty is in nobody's way, and `unlock` passes over it.
      const stuck = place.store
        .namesOf('lock')
        .find((lock) => place.store.get({ type: 'lock', name: lock }).byteLength > 0);
      const owner = stuck && place.store.lockOwner(stuck);
      if (stuck !== undefined) world.fail(`liveness: a lock of ${owner} is stuck in ${place.name}`);
    }
  }

  async #createPlace(name: string): Promise<Place> {
    const world = this.#world;
    const { listingLagMsMax } = this.#profile;
    const { queue } = world;
    const keyring = new Keyring();
    const fail = (what: string): void => world.fail(what);
    const reach = (what: Reached): void => world.reach(what);
    const traits = {
      listingLagMsMax,
      // By the seed, not by chance: what else a seed brings stays as it was.
      listsAtOnce: listingLagMsMax === 0 && world.seed % 2 === 0,
      losesStored: world.plant.losesStored === true,
    };
    const store = new SimulatedStore(name, { queue, random: world.random.fork(), traits, reach });
    const environment = {
      clock: new ClientTime(queue, { skewMs: 0 }),
      random: world.random.fork(),
      isSingleThreaded: true,
    } as const;
    const { sealer } = await createRepository(new MemoryBackend(store.files), {
      environment,
      password: Buffer.from(keyring.password),
      hostname: 'first',
      username: 'user',
      scrypt: cheapScrypt,
      version: world.random.oneIn(4) ? 1 : 2,
      polynomial,
    });
    const { attempts } = world;
    const end = (why: string): void => world.end(why);
    const oracle = new Oracle({ store, sealer, attempts, fail, reach, end });
    const hear = store.watch;
    store.watch = (change: StoreChange): void => {
      hear(change);
      const isOpen = change.type !== 'key' || keyring.opens(store);
      if (!isOpen) world.fail(`I6: after ${change.kind} by ${change.by} no password opens ${name}`);
    };
    const weather = this.#weatherOf(store);
    const place = { name, keyring, store, oracle, weather };
    world.places.push(place);
    return place;
  }

  #weatherOf(store: SimulatedStore): Weather {
    const world = this.#world;
    const climate = { ...this.#profile.climate, powerCuts: this.#profile.powerCuts };
    const { queue } = world;
    const reach = (what: Reached): void => world.reach(what);
    const weather = new Weather({ queue, random: world.random.fork(), climate, reach });
    weather.onPowerCut = (call) => {
      const undone = store.cutPower();
      world.note(`${store.name} loses power at ${call.operation}, ${undone} removals are undone`);
      weather.begin('outage', world.random.between(0.1, 20) * 60_000);
    };
    return weather;
  }

  /** Everybody has backed up twice, so that there is something to forget. */
  async #begin(clients: readonly Client[], place: Place): Promise<void> {
    const isCalm = true;
    for (const client of [...clients, ...clients]) {
      if (client.isForeign) continue;
      client.folder.change(this.#world.queue.nowMs);
      await this.#do(client, place, { choice: choiceNamed('backup'), isCalm });
    }
  }

  /** What clients do: now and then all of them, within seconds or hours of each other, one thing each. */
  async #live(clients: readonly Client[], place: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { rounds, pauseHoursMax } = this.#profile;
    const running: Promise<unknown>[] = [];
    const busy = new Set<Client>();
    for (let round = 0; round < rounds; round++) {
      // Every second time all begin within seconds, so that they meet.
      const withinMs =
        (random.oneIn(2) ? random.between(0.2, 8) : random.between(8, 14_400)) * 1000;
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
      const house = random.chance(0.9)
        ? this.#keepHouse(clients, { place, busy, withinMs })
        : undefined;
      await world.sleep(withinMs);
      await house;
      // Mostly a day passes or more, so that what a prune marked is deleted by the next one.
      const fromHours = random.oneIn(4) ? 0.01 : 23.5;
      await world.sleep(random.between(fromHours, pauseHoursMax) * hourMs);
    }
    await Promise.all(running);
  }

  /** What most do every night, while others work or when they are done: forget by a policy, and prune. */
  async #keepHouse(
    clients: readonly Client[],
    how: { readonly place: Place; readonly busy: Set<Client>; readonly withinMs: number },
  ): Promise<void> {
    const { place, busy, withinMs } = how;
    const { random } = this.#world;
    const names = random.oneIn(4) ? ['prune', 'forget'] : ['forget', 'prune'];
    await this.#world.sleep(random.oneIn(2) ? withinMs : withinMs * random.fraction());
    const free = clients.filter((client) => !busy.has(client) && !client.isForeign);
    if (free.length === 0) return;
    const client = random.pick(free);
    busy.add(client);
    // Nobody lives for days with a repository that refuses everything.
    const isRefused = place.store.isDamaged('snapshot') || place.store.isDamaged('index');
    const mayMend = client.choices.some(({ name }) => name === 'mend');
    if (isRefused && random.oneIn(2) && mayMend) names.unshift('mend');
    for (const name of names) {
      await this.#do(client, place, { choice: choiceNamed(name), isPatient: true });
    }
    busy.delete(client);
  }

  async #do(
    client: Client,
    place: Place,
    how: { readonly choice: Choice; readonly isCalm?: boolean; readonly isPatient?: boolean },
  ): Promise<string> {
    const world = this.#world;
    const { machine, folder, random } = client;
    const fates = how.isCalm ? [] : this.#fatesOf(random);
    const process = new SimulatedProcess(world, { machine, pid: world.nextPid(), fates });
    this.#processes.add(process);
    const { name, run } = how.choice;
    world.running.set(process.name, name);
    world.note(`${process.name} ${name}`);
    const isPatient = how.isCalm || how.isPatient || random.oneIn(3);
    const retryMs = isPatient ? { retryMs: hourMs } : {};
    const actor: Actor = { world, process, place, folder, ...retryMs };
    if (!how.isCalm) void this.#nemesis.met(place);
    this.#lookForSnapshots(process);
    const outcome = await run(actor).catch((error: unknown) =>
      this.#outcomeOf(error, { process, place, command: name }),
    );
    process.exit();
    world.running.delete(process.name);
    this.#processes.delete(process);
    world.note(`${process.name} ${name}: ${outcome}`);
    world.count(`${name}: ${outcome}`);
    return outcome;
  }

  #outcomeOf(
    error: unknown,
    of: { readonly process: SimulatedProcess; readonly place: Place; readonly command: string },
  ): string {
    const { process, place, command } = of;
    const world = this.#world;
    if (isHoldfastError(error, 'LOCK_LOST')) world.reach('lockLost');
    if (isHoldfastError(error, 'REFERENCE_LOST')) world.reach('referenceLost');
    const { isAlive } = process.time;
    if (error instanceof HoldfastError) {
      this.#lookForSnapshots(process);
      const ended = { command, met: process.met, places: this.#placesOf(command, place) };
      if (!isAlive || isExcused(error, ended)) return error.code;
    }
    if (!isAlive) return 'died';
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.fail(`${process.name} ${command} met ${[...process.met].join(', ')}, ended with ${what}`);
    return 'unexpected';
  }

  /** Where an operation works. */
  #placesOf(command: string, place: Place): readonly Place[] {
    const { places } = this.#world;
    if (command === 'copy') return places;
    return command.startsWith('second ') ? places.slice(1) : [place];
  }

  /** A prune before the first snapshot is refused. */
  #lookForSnapshots(process: SimulatedProcess): void {
    const { places } = this.#world;
    if (places.some(({ store }) => store.namesOf('snapshot').length === 0)) process.meet('empty');
  }

  #fatesOf(random: Seeded): Fate[] {
    const { deaths, pauses } = this.#profile;
    const fates: Fate[] = [];
    const atCall = (): number => Math.floor(random.between(1, 120)) - 1;
    const when = random.pick(['before', 'during', 'after'] as const);
    if (random.chance(deaths)) fates.push({ atCall: atCall(), when, kind: 'death', pauseMs: 0 });
    if (random.chance(pauses)) {
      const pauseMs = random.between(1 / 60, 7 * 24) * hourMs;
      const kind = random.oneIn(2) ? 'stopped' : 'asleep';
      fates.push({ atCall: atCall(), when: 'after', kind, pauseMs });
    }
    return fates;
  }

  async #mustEnd(
    client: Client,
    place: Place,
    [name, ...wanted]: readonly [string, ...string[]],
  ): Promise<void> {
    const outcome = await this.#do(client, place, { choice: choiceNamed(name), isCalm: true });
    if (wanted.includes(outcome)) return;
    this.#world.fail(`liveness: ${name} of ${client.machine.name} ended with ${outcome}`);
  }
}
