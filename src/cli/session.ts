import { isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Id } from '../repository/id.ts';
import { openRepository, type OpenOptions, type Repository } from '../repository/repository.ts';
import { parseExtendedOptions } from '../session/extended-options.ts';
import {
  openSession,
  type Session,
  type SessionHost,
  type SessionUse,
} from '../session/session.ts';
import type { Backend } from '../storage/backend.ts';
import { openBackend } from '../storage/open.ts';
import { parseRates, type RateAt } from '../storage/rate-timetable.ts';
import type { TransportSettings } from '../storage/store.ts';
import { cacheSettings } from './cache.ts';
import { cliMonitor } from './cli-monitor.ts';
import type { Invocation } from './command.ts';
import {
  type PasswordSources,
  passwordToOpen,
  passwordTryCount,
  repositoryPassword,
} from './password.ts';
import { usage } from './parse.ts';
import { repositoryLocation } from './repository-location.ts';

export type { Session } from '../session/session.ts';

/** Which repository a command opens, under which lock, and what it does meanwhile; with `writes`, --no-lock does not count. */
export interface SessionOptions extends SessionUse {
  /** Default: the repository of the command line. */
  readonly choice?: RepositoryChoice;
  readonly monitor?: Monitor;
}

/** The parts of a location that a command line gives. */
export interface RepositoryChoice {
  readonly location: string;
  readonly password: PasswordSources;
  readonly keyHint: string | undefined;
  /** How a prompt calls it. */
  readonly name?: string;
  /** As `SessionOptions.writes`. */
  readonly writes?: boolean;
  /** As `OpenOptions.isAlone`. */
  readonly isAlone?: boolean;
  /** As `OpenOptions.knownKey`. */
  readonly knownKey?: Id | undefined;
}

/**
 * Opens the repository of the command line, locks it, lets `work` use it, and always releases and closes what was opened.
 *
 * @throws USAGE, REPOSITORY_NOT_FOUND, PASSWORD_WRONG, REPOSITORY_LOCKED and what `work` throws
 */
export async function withSession<T>(
  invocation: Invocation,
  { choice: given, monitor: listener, ...use }: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const monitor = listener ?? cliMonitor(invocation.output);
  const choice = {
    ...(given ?? {
      location: repositoryLocation(invocation),
      password: repositoryPassword(invocation),
      keyHint: invocation.globals.keyHint,
    }),
    writes: use.writes ?? false,
  };
  const request = {
    ...use,
    monitor,
    openStorage: () => openStorage(invocation, choice.location, monitor),
    open: (storage: Backend, hints: Pick<RepositoryChoice, 'isAlone' | 'knownKey'>) =>
      openWithTries(invocation, storage, { ...choice, ...hints }),
  };
  return openSession(hostOf(invocation), request, work);
}

function hostOf(invocation: Invocation): SessionHost {
  const { environment, signal, command, globals, output, beforeEnd } = invocation;
  return {
    environment,
    signal,
    operation: command,
    retryLockMs: globals.retryLock,
    cache: cacheSettings(invocation),
    tell: (text) => output.info(text),
    beforeEnd,
  };
}

/** @throws USAGE */
function ratesOf(flag: string, text: string | undefined): RateAt | undefined {
  if (text === undefined) return undefined;
  const rates = parseRates(text);
  if (rates) return rates;
  throw usage(
    `invalid value for ${flag} "${text}": neither a rate nor a timetable`,
    'A rate is in KiB/s (512), or has a unit (2M); a timetable is such as "08:00,512 19:00,10M 23:00,off", with days "Mon-08:00,512 Fri-18:00,off".',
  );
}

/** Opens the storage with the limits of the command line. */
export function openStorage(
  {
    globals,
    environment,
    signal,
    variables,
  }: Pick<Invocation, 'globals' | 'environment' | 'signal' | 'variables'>,
  location: string,
  monitor: Monitor,
): Promise<Backend> {
  return openBackend(location, {
    environment,
    signal,
    monitor,
    extended: parseExtendedOptions(globals.options),
    transport: transportSettings(globals),
    variables: variables.all,
    uploadLimit: ratesOf('--limit-upload', globals.uploadLimit),
    downloadLimit: ratesOf('--limit-download', globals.downloadLimit),
  });
}

function transportSettings(globals: Invocation['globals']): TransportSettings {
  const { caCertificates, tlsClientCertificate, stuckRequestTimeout, httpUserAgent } = globals;
  return {
    ...(caCertificates && { caCertificateFiles: caCertificates }),
    ...(tlsClientCertificate !== undefined && { clientCertificateFile: tlsClientCertificate }),
    isTlsInsecure: globals.insecureTls,
    ...(stuckRequestTimeout !== undefined && { stuckRequestMs: stuckRequestTimeout }),
    ...(httpUserAgent !== undefined && { userAgent: httpUserAgent }),
  };
}

/** Opens a repository; a person may type the password three times. */
export async function openWithTries(
  invocation: Invocation,
  backend: Backend,
  choice: RepositoryChoice,
): Promise<Repository> {
  let isTyped = false;
  const options: OpenOptions = {
    ...formatOptions(invocation),
    noLock: invocation.globals.noLock && !choice.writes,
    isAlone: choice.isAlone,
    knownKey: choice.knownKey,
    ...(choice.keyHint === undefined ? {} : { keyHint: choice.keyHint }),
    password: async () => {
      const given = await passwordToOpen(invocation, choice.password, choice.name);
      isTyped = given.isTyped;
      return given.password;
    },
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await openRepository(backend, options);
    } catch (error) {
      const mayTryAgain = isTyped && attempt < passwordTryCount;
      if (!isHoldfastError(error, 'PASSWORD_WRONG') || !mayTryAgain) throw error;
      invocation.output.errorLine('wrong password, try again');
    }
  }
}

/** What the command line says about how a repository is used. */
export function formatOptions(invocation: Invocation): Omit<OpenOptions, 'password' | 'keyHint'> {
  const { globals, environment, signal } = invocation;
  const { packSizeMiB = 0 } = globals;
  return {
    environment,
    signal,
    ...(globals.compression === undefined ? {} : { compression: globals.compression }),
    ...(packSizeMiB === 0 ? {} : { packSizeBytes: packSizeMiB * 1024 * 1024 }),
  };
}
