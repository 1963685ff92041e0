import { HoldfastError } from '../../base/errors.ts';
import { splitShellWords } from '../../base/shell-words.ts';
import type { LocationOf, Store, StoreOptions } from '../store.ts';
import { openCommandTransport } from './command-transport.ts';
import { Connection } from './connection.ts';
import { SftpBackend } from './sftp-backend.ts';
import { SftpSession, type Transport } from './sftp-session.ts';
import { openSshTransport } from './ssh-transport.ts';

type SftpLocation = LocationOf<'sftp'>;

const stuckRequestMsDefault = 5 * 60 * 1000;

/** A folder of a server that is reached by SSH. */
export const sftpStore: Store<'sftp'> = {
  connectionCount: 5,
  options: [
    {
      name: 'sftp.command',
      description:
        'program that speaks SFTP on its input and output, instead of SSH in this process',
    },
    {
      name: 'sftp.args',
      description:
        'arguments for "ssh -G", which finds the settings of the host, such as "-F FILE"',
    },
  ],
  open: async (location, options) => {
    const { environment } = options;
    const openTransport = chooseTransport(location, options);
    const connection = new Connection(environment.clock, async (signal) =>
      SftpSession.start(await openTransport(signal), {
        clock: environment.clock,
        stuckRequestMs: options.transport.stuckRequestMs ?? stuckRequestMsDefault,
      }),
    );
    const onAbort = (): void => void connection.close();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await SftpBackend.open(connection, {
        environment,
        location: describe(location),
        root: location.path,
        connectionCount: options.connectionCount,
      });
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
  },
};

function chooseTransport(
  location: SftpLocation,
  { environment, extended }: StoreOptions,
): (signal: AbortSignal) => Promise<Transport> {
  const command = extended.get('command');
  const args = extended.get('args');
  if (command !== undefined && args !== undefined) {
    throw new HoldfastError('USAGE', {
      message: 'the options "sftp.command" and "sftp.args" exclude each other',
    });
  }
  if (command !== undefined) {
    const words = splitShellWords(command);
    return async () => openCommandTransport(words);
  }
  const { host, user, port, password } = location;
  const place = { host, user, port, args: args === undefined ? [] : splitShellWords(args) };
  return async (signal) => openSshTransport(place, { environment, password, signal });
}

/** The location for people, without its password. */
function describe({ user, host, port, path }: SftpLocation): string {
  const login = user === undefined ? '' : `${user}@`;
  const boxed = host.includes(':') ? `[${host}]` : host;
  if (port === undefined && boxed === host) return `sftp:${login}${host}:${path}`;
  return `sftp://${login}${boxed}${port === undefined ? '' : `:${port}`}/${path}`;
}
