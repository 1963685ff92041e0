import type { FileHandle } from '../../src/storage/backend.ts';
import type { Client } from './clients.ts';
import type { Profile } from './profile.ts';
import type { DamageKind } from './simulated-store.ts';
import type { Place, World } from './world.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A clock that jumps by more makes locks look left, or new. */
const lockLifeMs = hourMs / 2;

/** What may go on while the storage goes back to an earlier state: it proves what it leans on. */
const bearsGoingBack: ReadonlySet<string> = new Set(['backup', 'restore']);

/** Everything that happens to storage and machines by itself, until the clients are done. */
export class Nemesis {
  readonly #world: World;
  readonly #profile: Profile;
  #isOver = false;

  constructor(world: World, profile: Profile) {
    this.#world = world;
    this.#profile = profile;
  }

  /** From now on nothing happens any more. */
  end(): void {
    this.#isOver = true;
  }

  async run(clients: readonly Client[]): Promise<void> {
    const { places } = this.#world;
    const first = places.slice(0, 1);
    await Promise.all([
      this.#clocks(clients),
      ...first.map((place) => this.#damage(place)),
      ...first.map((place) => this.#goBack(place)),
    ]);
  }

  /** Somebody begins to work: the storage may stop to do so soon, since nobody notices at other times. */
  async met(place: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    if (this.#isOver || !random.chance(this.#profile.troubles)) return;
    await world.sleep(random.between(1, 30_000));
    if (this.#isOver) return;
    const trouble = random.pick(['outage', 'full', 'read-only', 'denied', 'sticky'] as const);
    world.note(`${place.name}: ${trouble}`);
    place.weather.begin(trouble, random.between(0.05, 120) * 60_000);
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
      const before = machine.skewMs;
      machine.skewMs = Math.round((random.fraction() * 2 - 1) * skewMsMax);
      for (const process of world.living.values()) {
        if (process.machine === machine) process.meet('clockJumped');
      }
      if (Math.abs(machine.skewMs - before) > lockLifeMs) world.reach('clockJumped');
      world.note(`the clock of ${machine.name} is ahead by ${machine.skewMs} ms`);
    }
  }

  async #damage({ store, name }: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    for (let count = 0; count < this.#profile.damages; count++) {
      await world.sleep(random.between(0.1, 3) * dayMs);
      if (this.#isOver) return;
      const type = random.pick(['pack', 'pack', 'pack', 'index', 'snapshot'] as const);
      const files = store.namesOf(type).toSorted();
      if (files.length === 0) continue;
      const handle: FileHandle = { type, name: random.pick(files) };
      const kind = random.pick<DamageKind>(['flip', 'cut', 'loss']);
      world.note(`${name}: ${kind} of ${type} ${handle.name.slice(0, 8)}`);
      store.damage(handle, kind);
    }
  }

  /** As a virtual machine that is set back to a copy of yesterday. */
  async #goBack({ store, oracle, name }: Place): Promise<void> {
    const world = this.#world;
    const { random } = world;
    if (!this.#profile.goesBack) return;
    await world.sleep(random.between(0.1, 2) * dayMs);
    const before = store.copy();
    world.note(`${name}: is copied`);
    await world.sleep(random.between(0.05, 1) * dayMs);
    while (![...world.running.values()].every((each) => bearsGoingBack.has(each))) {
      await world.sleep(random.between(0.01, 0.3) * hourMs);
      if (this.#isOver) return;
    }
    if (this.#isOver) return;
    world.note(`${name}: is as it was when it was copied`);
    world.reach('rolledBack');
    for (const process of world.living.values()) process.meet('rolledBack');
    store.goBack(before);
    oracle.rolledBack();
  }
}
