import { join } from 'node:path';
import type { SecureVersion } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { Environment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { harmlessLine } from '../base/harmless-text.ts';
import { readStatus } from '../platform/status.ts';
import { folderSizeBytes } from '../storage/local/served-repository.ts';
import { groupModes, privateModes } from '../storage/local/write-file.ts';
import { AccessLog } from './access-log.ts';
import { Authenticator } from './authenticator.ts';
import type { CertificateFiles } from './certificates.ts';
import { isNear, type ListenAddress } from './listen-address.ts';
import { Metrics } from './metrics.ts';
import { PaceWatch } from './pace.ts';
import { Quota } from './quota.ts';
import { type MetricsAccess, RepositoryServer } from './server.ts';
import { UserFile } from './user-file.ts';

/** How users are told. */
export type UserSource =
  | { readonly kind: 'file'; readonly path: string }
  /** A header that a proxy in front of the server sets. */
  | { readonly kind: 'proxy'; readonly header: string }
  /** Everybody may do everything. */
  | { readonly kind: 'none' };

/** What a server is started with. */
export interface StartOptions {
  /** The folder of repositories. */
  readonly path: string;
  readonly address: ListenAddress;
  readonly users: UserSource;
  readonly tls:
    | { readonly files: CertificateFiles; readonly versionMin: SecureVersion }
    | undefined;
  readonly isAppendOnly: boolean;
  readonly isPrivate: boolean;
  /** The group may read and write what is stored. */
  readonly isForGroup: boolean;
  /** Infinity for no limit. */
  readonly sizeBytesMax: number;
  readonly connectionCountMax: number;
  /** Time for the headers of a request; default 20 s. */
  readonly headersMs?: number;
  readonly metricsAccess: MetricsAccess;
  /** A file, or what prints a line; undefined for no log. */
  readonly log: string | ((line: string) => void) | undefined;
  readonly environment: Environment;
  readonly tell: (text: string) => void;
}

/** A server that runs. */
export interface RunningServer {
  /** Where it is, as a client names it behind `rest:`. */
  readonly url: string;
  /** Ends it in order, within five seconds. */
  stop(): Promise<void>;
}

const socketMode = 0o600;
const groupSocketMode = 0o660;

/** The file of users where none is named. */
export function userFileOf(path: string): string {
  return join(path, '.htpasswd');
}

/** Where the certificate and its key are if nothing else is said, as with rest-server. */
export function certificateFilesOf(path: string): CertificateFiles {
  return { certificate: join(path, 'public_key'), key: join(path, 'private_key') };
}

/** Starts to serve the repositories of a folder. @throws USAGE for what does not go together, or cannot be read or listened on */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  refuseOpenDoors(options);
  const { environment, isForGroup, address } = options;
  const { clock } = environment;
  const tell = quieted(options.tell, clock);
  const quota = new Quota(options.sizeBytesMax, await storedBytes(options));
  const log = options.log === undefined ? undefined : { target: options.log, clock, tell };
  const server: RepositoryServer = new RepositoryServer({
    service: {
      root: { path: options.path, modes: isForGroup ? groupModes : privateModes, environment },
      quota,
      metrics: new Metrics(gaugesOf(quota, () => server.connectionCount)),
      paces: new PaceWatch(clock),
      isAppendOnly: options.isAppendOnly,
      isPrivate: options.isPrivate,
    },
    environment,
    users: usersOf(options, tell),
    metricsAccess: options.metricsAccess,
    tls: options.tls,
    log: log && new AccessLog(log),
    connectionCountMax: options.connectionCountMax,
    headersMs: options.headersMs,
    tell,
  });
  try {
    const url = await server.listen(address, isForGroup ? groupSocketMode : socketMode);
    return { url, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Time in which the same is told once: a client must not be able to fill a log. */
const repeatMsMin = 60_000;
const rememberedCountMax = 1000;

/** Tells each text once a minute, in one line. */
function quieted(tell: (text: string) => void, clock: Clock): (text: string) => void {
  const toldMs = new Map<string, number>();
  return (text) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - (toldMs.get(text) ?? -Infinity) < repeatMsMin) return;
    if (toldMs.size >= rememberedCountMax) toldMs.clear();
    toldMs.set(text, nowMs);
    tell(harmlessLine(text));
  };
}

/** @throws USAGE for settings that would let in people who nobody meant to */
function refuseOpenDoors({ users, address, isPrivate }: StartOptions): void {
  if (isPrivate && users.kind === 'none') {
    throw new HoldfastError('USAGE', {
      message: 'repositories cannot be private where nobody says who they are',
      hint: 'Use --private-repos without --no-auth.',
    });
  }
  if (users.kind === 'proxy' && !isNear(address)) {
    throw new HoldfastError('USAGE', {
      message: 'anybody who reaches the server could name himself as he likes',
      hint: 'With --proxy-auth-username, listen on 127.0.0.1 or on a unix socket.',
    });
  }
}

/** Bytes that count against the limit. @throws USAGE if the folder is not there */
async function storedBytes({ path, sizeBytesMax }: StartOptions): Promise<number> {
  try {
    const { kind } = readStatus(Buffer.from(path), { follow: true });
    if (kind !== 'directory') throw new HoldfastError('LOCATION_INVALID');
    return sizeBytesMax === Infinity ? 0 : await folderSizeBytes(path);
  } catch (cause) {
    throw new HoldfastError('USAGE', {
      message: `the folder ${JSON.stringify(path)} cannot be served`,
      hint: 'It must be there: a disk that is not mounted must not look like an empty one.',
      cause,
    });
  }
}

function usersOf(
  { users, environment }: StartOptions,
  tell: (text: string) => void,
): Authenticator | { readonly header: string } | undefined {
  if (users.kind === 'none') return undefined;
  if (users.kind === 'proxy') return { header: users.header };
  const { clock } = environment;
  return new Authenticator(new UserFile({ path: users.path, clock, tell }), environment);
}

function gaugesOf(
  quota: Quota,
  connectionCount: () => number,
): ConstructorParameters<typeof Metrics>[0] {
  const isLimited = quota.sizeBytesMax !== Infinity;
  const kind = 'gauge';
  return [
    {
      name: 'holdfast_serve_connections',
      help: 'Connections that are open',
      kind,
      value: connectionCount,
    },
    {
      name: 'holdfast_serve_stored_bytes',
      help: 'Bytes that count against --max-size',
      kind,
      value: () => (isLimited ? quota.usedBytes : Infinity),
    },
    {
      name: 'holdfast_serve_max_size_bytes',
      help: 'The limit --max-size',
      kind,
      value: () => quota.sizeBytesMax,
    },
  ];
}
