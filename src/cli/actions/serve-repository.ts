import { isHoldfastError } from '../../base/errors.ts';
import { cancelled } from '../../base/abort.ts';
import { connectionCountDefault } from '../../serve/limits.ts';
import { isNear, listenDefault, parseListenAddress } from '../../serve/listen-address.ts';
import {
  certificateFilesOf,
  type StartOptions,
  startServer,
  userFileOf,
  type UserSource,
} from '../../serve/start-server.ts';
import type { Invocation } from '../command.ts';
import type { ServeFlags } from '../commands/serve-repository.ts';
import { usage } from '../parse.ts';
import { servedPath } from '../served-path.ts';

type Flags = Invocation<ServeFlags>['flags'];

/** `holdfast serve-repository`. Runs until it is interrupted. */
export async function serveRepository(invocation: Invocation<ServeFlags>): Promise<number> {
  const { output, signal } = invocation;
  const options = startOptions(invocation);
  const server = await startServer(options);
  if (output.isJson) output.json({ message_type: 'listening', url: server.url });
  else output.info(`serving ${options.path} at rest:${server.url}`);
  warn(options, options.tell);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.stop();
  const reason = cancelled(signal);
  // To be stopped is how it ends.
  if (isHoldfastError(reason, 'CANCELLED')) return 0;
  throw reason;
}

function startOptions({ flags, output, environment }: Invocation<ServeFlags>): StartOptions {
  const path = servedPath(flags);
  return {
    path,
    address: parseListenAddress(flags.listen ?? listenDefault),
    users: userSource(flags, path),
    tls: tlsOptions(flags, path),
    isAppendOnly: flags.isAppendOnly,
    isPrivate: flags.isPrivate,
    isForGroup: flags.isForGroup,
    sizeBytesMax: flags.sizeBytesMax ?? Infinity,
    connectionCountMax: flags.connectionCountMax ?? connectionCountDefault,
    metricsAccess: metricsAccess(flags),
    log: flags.log === '-' ? (line) => output.line(line) : flags.log,
    environment,
    tell: (text) => output.errorLine(text),
  };
}

function userSource(flags: Flags, path: string): UserSource {
  const { noAuthentication, userFile, proxyHeader } = flags;
  const given = [noAuthentication, userFile !== undefined, proxyHeader !== undefined];
  if (given.filter(Boolean).length > 1) {
    throw usage('only one of --no-auth, --htpasswd-file and --proxy-auth-username can be given');
  }
  if (noAuthentication) return { kind: 'none' };
  if (proxyHeader !== undefined) return { kind: 'proxy', header: proxyHeader };
  return { kind: 'file', path: userFile ?? userFileOf(path) };
}

function tlsOptions(flags: Flags, path: string): StartOptions['tls'] {
  const { tls, tlsCertificate, tlsKey, tlsVersion } = flags;
  if (!tls) {
    if (tlsCertificate === undefined && tlsKey === undefined && tlsVersion === undefined) {
      return undefined;
    }
    throw usage('--tls-cert, --tls-key and --tls-min-ver need --tls');
  }
  const usual = certificateFilesOf(path);
  const files = {
    certificate: tlsCertificate ?? usual.certificate,
    key: tlsKey ?? usual.key,
  };
  return { files, versionMin: tlsVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2' };
}

function metricsAccess(flags: Flags): StartOptions['metricsAccess'] {
  if (!flags.prometheus) return 'none';
  return flags.prometheusForAll || flags.noAuthentication ? 'all' : 'users';
}

/** What is allowed and seldom meant. */
function warn(options: StartOptions, tell: (text: string) => void): void {
  const { address, tls, users } = options;
  if (isNear(address)) return;
  if (users.kind === 'none') tell('everybody who reaches this server may read and write here');
  else if (!tls) tell('without --tls, passwords cross the network unencrypted');
}
