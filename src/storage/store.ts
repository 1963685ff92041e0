import type { Environment } from '../base/environment.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Backend } from './backend.ts';
import type { Location, Scheme } from './location.ts';

/** How a storage across a network is spoken to. A store without a network passes it over. */
export interface TransportSettings {
  /** Files with root certificates in PEM form to trust instead of the system's. */
  readonly caCertificateFiles?: readonly string[];
  /** File with a client certificate and its private key in PEM form. */
  readonly clientCertificateFile?: string;
  /** Do not verify the server's certificate. */
  readonly isTlsInsecure?: boolean;
  /** A request of which nothing moves for so long is given up, and made again; default 5 min. */
  readonly stuckRequestMs?: number;
  readonly userAgent?: string;
}

/** The variables of the process by their full names; one that is empty counts as not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** `HOLDFAST_<name>`, or else `RESTIC_<name>`. */
export function ownVariable(variables: Variables, name: string): string | undefined {
  return variables[`HOLDFAST_${name}`] || variables[`RESTIC_${name}`] || undefined;
}

/** What a store is opened with. */
export interface StoreOptions {
  readonly environment: Environment;
  /** Calls at once. */
  readonly connectionCount: number;
  /** Own options of `-o`, without the scheme before them, `connections` left out. */
  readonly extended: ReadonlyMap<string, string>;
  readonly transport: TransportSettings;
  readonly variables: Variables;
  readonly signal?: AbortSignal;
  readonly monitor?: Monitor;
}

/** An option of `-o`, for `holdfast options`. */
export interface ExtendedOption {
  readonly name: string;
  readonly description: string;
}

/** A location of one scheme. */
export type LocationOf<S extends Scheme> = Location & { readonly scheme: S };

/**
 * A kind of storage. Its folder has a file `store.ts` that exports one, and a row in `open.ts`: retries and the limits of
 * connections and bandwidth are put around what it opens.
 */
export interface Store<S extends Scheme = Scheme> {
  /** Calls at once unless something else is asked for. */
  readonly connectionCount: number;
  /** What `-o` takes for it, with the scheme before each name. `<scheme>.connections` is there without it. */
  readonly options: readonly ExtendedOption[];
  /**
   * Does not look whether there is a repository.
   *
   * @throws LOCATION_INVALID, USAGE (value of an extended option), PERMISSION_DENIED, BACKEND_UNAVAILABLE
   */
  open(location: LocationOf<S>, options: StoreOptions): Promise<Backend>;
}
