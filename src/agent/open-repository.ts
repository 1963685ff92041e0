import { HoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import { lengthMs } from '../contracts/durations.ts';
import type { Policy } from '../contracts/policy.ts';
import type { RepositoryEntry } from '../contracts/repository-entry.ts';
import { openRepository } from '../repository/repository.ts';
import { parseExtendedOptions } from '../session/extended-options.ts';
import { openSession, type Session, type SessionUse } from '../session/session.ts';
import type { Backend } from '../storage/backend.ts';
import { openBackend } from '../storage/open.ts';
import { parseRates, type RateAt } from '../storage/rate-timetable.ts';
import type { TransportSettings } from '../storage/store.ts';
import type { AgentHost, AgentRun } from './host.ts';
import { passwordOf, storeVariables } from './secrets.ts';

/** How long to wait for a lock where a policy does not say, in milliseconds. */
const retryLockMsDefault = 300_000;

/** Which repository of an estate is opened, and for what. */
export interface RepositoryUse extends SessionUse {
  /** Its name in the estate. */
  readonly repository: string;
  /** The policy that the work is done for: its limits and its patience. */
  readonly policy: Policy;
  /** What locks call the work. */
  readonly operation: string;
  readonly monitor: Monitor;
  /** Default: that of the run. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a repository of an estate, lets `work` use it, and closes it.
 *
 * @throws USAGE, PASSWORD_MISSING, COMMAND_FAILED, what opening throws, and what `work` throws
 */
export async function withRepository<T>(
  { host, estate }: AgentRun,
  { repository: name, policy, operation, monitor, signal = host.signal, ...use }: RepositoryUse,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const entry = estate.repositories[name];
  if (!entry) throw new HoldfastError('USAGE', { message: `there is no repository "${name}"` });
  const { environment, cache, beforeEnd } = host;
  const retryLock = policy['retry-lock'];
  const sessionHost = {
    environment,
    signal,
    operation,
    retryLockMs: retryLock === undefined ? retryLockMsDefault : lengthMs(retryLock),
    cache,
    tell: (text: string) => monitor.note(text),
    beforeEnd,
  };
  const request = {
    ...use,
    monitor,
    openStorage: () => openEntryStorage({ name, entry, host, monitor, signal, policy }),
    open: (storage: Parameters<typeof openRepository>[0], hints: OpeningHints) =>
      openRepository(storage, {
        environment,
        signal,
        ...hints,
        ...(entry['key-hint'] === undefined ? {} : { keyHint: entry['key-hint'] }),
        ...(entry.compression === undefined ? {} : { compression: entry.compression }),
        ...(entry['pack-size'] === undefined
          ? {}
          : { packSizeBytes: entry['pack-size'] * 2 ** 20 }),
        password: () => passwordOf(name, entry, host),
      }),
  };
  return openSession(sessionHost, request, work);
}

/** A repository's entry whose storage is opened. */
export interface EntryUse {
  /** Its name in the estate. */
  readonly name: string;
  readonly entry: RepositoryEntry;
  readonly host: AgentHost;
  readonly monitor: Monitor;
  readonly signal: AbortSignal;
  /** Whose limits count before the entry's. */
  readonly policy?: Policy;
}

/** Opens the storage of an entry. @throws USAGE, PASSWORD_MISSING, COMMAND_FAILED, and what stores throw */
export async function openEntryStorage(use: EntryUse): Promise<Backend> {
  const { name, entry, host, monitor, signal, policy } = use;
  return openBackend(entry.location, {
    environment: host.environment,
    signal,
    monitor,
    extended: parseExtendedOptions(entry.option ?? []),
    transport: transportOf(entry),
    variables: await storeVariables(name, entry, host),
    uploadLimit: rateOf('limit-upload', entry, policy),
    downloadLimit: rateOf('limit-download', entry, policy),
  });
}

type OpeningHints = Parameters<Parameters<typeof openSession>[1]['open']>[1];

function transportOf(entry: RepositoryEntry): TransportSettings {
  const { cacert } = entry;
  const certificate = entry['tls-client-cert'];
  return {
    ...(cacert && { caCertificateFiles: cacert }),
    ...(certificate !== undefined && { clientCertificateFile: certificate }),
    isTlsInsecure: entry['insecure-tls'] ?? false,
  };
}

/** The policy's limit, or else the repository's. @throws USAGE */
function rateOf(
  field: 'limit-upload' | 'limit-download',
  entry: RepositoryEntry,
  policy: Policy | undefined,
): RateAt | undefined {
  const text = policy?.[field] ?? entry[field];
  if (text === undefined) return undefined;
  const rates = parseRates(text);
  if (rates) return rates;
  throw new HoldfastError('USAGE', {
    message: `invalid ${field} ${JSON.stringify(text)}: neither a rate nor a timetable`,
    hint: 'A rate is in KiB/s (512), or has a unit (2M); a timetable is such as "08:00,512 19:00,10M 23:00,off".',
  });
}
