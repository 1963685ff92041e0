import type { Environment } from '../../src/base/environment.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { LockOwner, ProcessProbe } from '../../src/repository/locks.ts';
import { ClientTime, type PauseKind } from './client-time.ts';
import type { Met } from './excuses.ts';
import type { Oracle } from './oracle.ts';
import type { Seeded } from './seeded.ts';
import type { Caller } from './simulated-backend.ts';
import { lockStaleMs } from '../../src/repository/lock-times.ts';
import type { FileHandle } from '../../src/storage/backend.ts';
import type { StorageCall } from './weather.ts';
import type { World } from './world.ts';

/** A machine: its name, its clock, and which of its processes live. */
export interface Machine {
  readonly name: string;
  skewMs: number;
  readonly living: Set<number>;
}

/** What happens to a process at one of its storage calls. */
export interface Fate {
  /** Counted from 0. */
  readonly atCall: number;
  /** Before the call is sent, while it is on its way, or after its effect and before the answer. */
  readonly when: 'before' | 'during' | 'after';
  readonly kind: 'death' | PauseKind;
  /** Of a pause. */
  readonly pauseMs: number;
}

/** One run of a program on a machine: what it has of the world, and its end. */
export class SimulatedProcess implements Caller {
  readonly name: string;
  readonly machine: Machine;
  readonly pid: number;
  readonly time: ClientTime;
  readonly random: Seeded;
  readonly environment: Environment;
  /** Aborts at the death, so that what runs here ends, without effect. */
  readonly signal: AbortSignal;
  /** What it met that may end its work. */
  readonly met: Set<Met> = new Set();
  readonly #end = new AbortController();
  readonly #world: World;
  readonly #fates: readonly Fate[];
  #callCount = 0;
  #isSacrificing = false;

  constructor(
    world: World,
    parts: { readonly machine: Machine; readonly pid: number; readonly fates: readonly Fate[] },
  ) {
    this.#world = world;
    this.machine = parts.machine;
    this.pid = parts.pid;
    this.name = `${parts.machine.name}.${parts.pid}`;
    this.#fates = parts.fates;
    this.time = new ClientTime(world.queue, parts.machine);
    this.random = world.random.fork();
    this.environment = { clock: this.time, random: this.random, isSingleThreaded: true };
    this.signal = this.#end.signal;
    parts.machine.living.add(this.pid);
    world.living.set(this.name, this);
  }

  meet(what: Met): void {
    this.met.add(what);
  }

  get owner(): LockOwner {
    return { hostname: this.machine.name, username: 'user', pid: this.pid };
  }

  /** What its machine tells of the processes behind locks. */
  get probe(): ProcessProbe {
    const { name, living } = this.machine;
    const startOf = (pid: number): string => `${name}.${pid}`;
    return {
      hostname: name,
      identity: { machine: name, boot: name, space: name, start: startOf(this.pid) },
      processStart: (pid) => (living.has(pid) ? startOf(pid) : undefined),
      machineUpSeconds: () => 1e9,
    };
  }

  onCall(call: StorageCall): void {
    this.#meet(this.#callCount++, 'before', call);
  }

  isDoomed(): boolean {
    const call = this.#callCount - 1;
    return this.#fates.some((each) => each.atCall === call && each.when === 'during');
  }

  onDoom(call: StorageCall): void {
    this.#meet(this.#callCount - 1, 'during', call);
  }

  onEffect(call: StorageCall): void {
    this.#meet(this.#callCount - 1, 'after', call);
  }

  /** The config is about to be another: who runs beside opened the repository with the old one. */
  onUpgrade(): void {
    for (const other of this.#world.living.values()) if (other !== this) other.meet('upgraded');
  }

  /** It says that it removes a pack before index files let go of it, since the storage is full. */
  sacrifice(): void {
    this.#isSacrificing = this.met.has('full');
  }

  onRemove({ type, name }: FileHandle, oracle: Pick<Oracle, 'sacrificed'>): void {
    if (type === 'pack' && this.#isSacrificing) {
      this.#isSacrificing = false;
      oracle.sacrificed(name);
    }
    if (type !== 'lock') return;
    const owners = this.#world.places.map(({ store }) => store.lockOwner(name));
    const owner = owners.find((each) => each !== undefined);
    if (owner === undefined || owner === this.name) return;
    this.#world.exclusion.lose(owner);
    const living = this.#world.living.get(owner);
    living?.meet('lockTaken');
    this.#world.reach(living ? 'lockTaken' : 'lockCleared');
  }

  /** The program has come to its end. */
  exit(): void {
    this.#gone();
    this.time.die();
  }

  kill(): void {
    if (!this.time.isAlive) return;
    this.meet('killed');
    this.#gone();
    this.time.die();
    this.#end.abort(new HoldfastError('CANCELLED', { message: 'the process was killed' }));
  }

  #gone(): void {
    this.machine.living.delete(this.pid);
    this.#world.living.delete(this.name);
  }

  #meet(call: number, when: Fate['when'], { operation, handle }: StorageCall): void {
    const fate = this.#fates.find((each) => each.atCall === call && each.when === when);
    if (!fate || !this.time.isAlive) return;
    const place = `${when} ${operation} ${handle?.type ?? ''} ${handle?.name.slice(0, 8) ?? ''}`;
    if (fate.kind === 'death') {
      this.#world.reach('died');
      this.#world.note(`${this.name} dies ${place}`);
      this.kill();
      return;
    }
    const minutes = Math.round(fate.pauseMs / 60_000);
    const isLocking = this.#world.places.some(({ store }) => store.hasLockOf(this.name));
    if (isLocking && fate.pauseMs > lockStaleMs) this.#world.reach('sleptPast');
    this.#world.note(`${this.name} is ${fate.kind} for ${minutes} min ${place}`);
    this.meet('slept');
    this.time.pause(fate.kind);
    this.#world.queue.after(fate.pauseMs, () => {
      this.time.resume();
      return false;
    });
  }
}
