import type { Backend } from '../../src/storage/backend.ts';
import { fault, type Fault } from '../../src/storage/fault.ts';
import type { Operation } from '../../src/storage/record.ts';
import type { HttpHarm } from '../tools/http-fault-proxy.ts';
import type { ProxyFault } from '../tools/tcp-proxy-rules.ts';
import type { Chance } from './chance.ts';
import type { Client } from './client.ts';
import type { OperationName } from './operations.ts';
import { type Spoilt, type Strike, StruckBackend } from './spoilt-backends.ts';
import type { OpenHow, Place, Served, StoreKind } from './stores.ts';

/** A call that the operation makes where nothing goes wrong. */
export interface UsualCall {
  readonly operation: Operation;
  readonly type: string | undefined;
  /** Among those of its operation and type, from 1. */
  readonly number: number;
}

/** What a fault is armed for. */
export interface Arming {
  readonly served: Served;
  readonly place: Place;
  readonly client: Client;
  readonly operation: OperationName;
  /** Decides what exactly goes wrong, and when. */
  readonly chance: Chance;
  readonly calls: readonly UsualCall[];
  /** It goes on until the operation has ended. */
  readonly isLasting: boolean;
}

/** What a storage may take with it though all was done right. */
export interface Losses {
  /** Snapshots that were confirmed, and taken back by the storage when nothing was asked of it any more but of locks. */
  readonly snapshots: ReadonlySet<string>;
  /** All data is there, but the index may have to be repaired first. */
  readonly mayUnlist: boolean;
}

/** A fault that is armed. */
export interface Armed {
  readonly how?: Partial<OpenHow>;
  /** Around the store, below what tries again. */
  readonly around?: (store: Backend) => Backend;
  /** All is well again. */
  readonly heal?: () => void | Promise<void>;
  /** How often something went wrong so far. */
  readonly strikes: () => number | Promise<number>;
  /**
   * `recovers`: the operation must end as if nothing had been the matter. `told`: it must not. `any`: either, as long as what it
   * says is true.
   */
  readonly hopes: 'recovers' | 'told' | 'any';
  /** What it may say. Default: any error that a user is told. */
  readonly codes?: readonly string[];
  /** What cannot be kept by anybody. Default: nothing. */
  readonly loses?: () => Losses;
}

export type Arm = (arming: Arming) => Armed | Promise<Armed>;

/** A fault of the table in docs/STORES.md, by the stores that it can meet. */
export interface StoreFault {
  /** `B1`. */
  readonly name: string;
  readonly title: string;
  readonly stores: Readonly<Partial<Record<StoreKind, Arm>>>;
  /** It cannot go away by itself. */
  readonly isAlwaysLasting?: true;
  /** The repository lies on a small file system of its own. */
  readonly onDisk?: true;
  /** The program runs as a process, by this command and its arguments before it. */
  readonly process?: readonly string[];
}

/** The same for several kinds of stores. */
export function forAll(kinds: readonly StoreKind[], arm: Arm): Partial<Record<StoreKind, Arm>> {
  return Object.fromEntries(kinds.map((kind) => [kind, arm]));
}

/** Calls that a fault meets at most before it goes away, where no number is given. */
const countMaxDefault = 3;

/** How many calls a fault meets that goes away. */
function countOf({ isLasting, chance }: Arming, max: number): number {
  return isLasting ? Number.POSITIVE_INFINITY : 1 + chance.below(max);
}

/** What is hoped for where another try helps: that it helps. */
export function hopeOf({ isLasting }: Arming): 'recovers' | 'any' {
  return isLasting ? 'any' : 'recovers';
}

/** Goes wrong by a rule, in a call that is usual. */
export function byRule(
  arming: Arming,
  faults: Readonly<Partial<Record<Operation, readonly Fault[]>>>,
  { countMax = countMaxDefault, ...more }: Partial<Armed> & { readonly countMax?: number } = {},
): Armed {
  const { chance, calls } = arming;
  const possible = calls.filter(({ operation }) => faults[operation]);
  if (possible.length === 0) return { strikes: () => 0, hopes: 'recovers' };
  const { operation, number, type } = chance.pick(possible);
  const chosen = chance.pick(faults[operation] ?? []);
  const count = countOf(arming, countMax);
  const of = type === undefined ? {} : { type: type as 'pack' };
  const made: { strikes(): number }[] = [];
  return {
    around: (store) => {
      const faulty = fault(store, [{ operation, ...of, call: number, count, fault: chosen }]);
      made.push({ strikes: () => faulty.faultCount });
      return faulty;
    },
    strikes: () => made.reduce((sum, each) => sum + each.strikes(), 0),
    hopes: hopeOf(arming),
    ...more,
  };
}

/** By what lies around the store. */
export function byBackend(
  make: (store: Backend) => Spoilt,
  more: Partial<Armed> & Pick<Armed, 'hopes'>,
): Armed {
  const made: Spoilt[] = [];
  const around = (store: Backend): Backend => {
    const spoilt = make(store);
    made.push(spoilt);
    return spoilt;
  };
  return { around, strikes: () => made.reduce((sum, { strikes }) => sum + strikes, 0), ...more };
}

/** Something happens right before a usual call. */
export function atCall(
  { chance, calls }: Arming,
  strike: Strike,
  more: Partial<Armed> & Pick<Armed, 'hopes'>,
): Armed {
  const after = chance.below(Math.max(1, calls.length));
  return byBackend((store) => new StruckBackend(store, after, strike), more);
}

export const ofFile = /\/(data|index|keys|locks|snapshots)\/[^?]*[0-9a-f]{64}|\/config/;

const kindsOfRequests = {
  all: () => true,
  read: ({ method, url }: { method: string; url: string }) => method === 'GET' && ofFile.test(url),
  write: ({ method, url }: { method: string; url: string }) =>
    (method === 'POST' || method === 'PUT') && ofFile.test(url),
  change: ({ method, url }: { method: string; url: string }) =>
    method !== 'GET' && method !== 'HEAD' && ofFile.test(url),
  data: ({ method, url }: { method: string; url: string }) =>
    method === 'GET' && /\/data\/[^?]*[0-9a-f]{64}/.test(url),
} as const;

const callsOfRequests: Readonly<Record<keyof typeof kindsOfRequests, readonly Operation[]>> = {
  all: ['get', 'put', 'stat', 'list', 'remove'],
  read: ['get'],
  write: ['put'],
  change: ['put', 'remove'],
  data: ['get'],
};

/** By a proxy between, to requests of one kind. */
export function byHttp(
  arming: Arming,
  which: keyof typeof kindsOfRequests,
): (harm: HttpHarm, more?: Partial<Armed> & { readonly countMax?: number }) => Armed {
  const { served, chance, calls } = arming;
  const { http } = served;
  if (!http) throw new Error(`${served.kind} is not spoken by HTTP`);
  return (harm, { countMax = countMaxDefault, ...more } = {}) => {
    const usual = calls.filter(({ operation }) => callsOfRequests[which].includes(operation));
    const after = chance.below(Math.max(1, usual.length));
    http.set({ fits: kindsOfRequests[which], after, count: countOf(arming, countMax), harm });
    return {
      how: { way: 'http' },
      strikes: () => http.strikes,
      heal: () => {
        http.set(undefined);
        http.cut();
      },
      hopes: hopeOf(arming),
      ...more,
    };
  };
}

/** By a line that breaks after so many bytes. */
export async function byLine(
  arming: Arming,
  faults: readonly Omit<ProxyFault, 'times'>[],
  more: Partial<Armed> = {},
): Promise<Armed> {
  const { served } = arming;
  const { tcp } = served;
  if (!tcp) throw new Error(`${served.kind} has no line`);
  const times = countOf(arming, countMaxDefault);
  let strikes = 0;
  await tcp.setFaults(
    faults.map((each) => ({ ...each, times: Math.min(times, Number.MAX_SAFE_INTEGER) })),
  );
  return {
    how: { way: 'tcp' },
    strikes: async () => {
      const seen = (await tcp.state()).strikes.reduce((sum, count) => sum + count, 0);
      strikes = Math.max(strikes, seen);
      return strikes;
    },
    heal: async () => {
      await tcp.setFaults([]);
      await tcp.cut();
    },
    hopes: hopeOf(arming),
    ...more,
  };
}
