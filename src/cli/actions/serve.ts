import path from 'node:path';
import { cancelled } from '../../base/abort.ts';
import { isHoldfastError } from '../../base/errors.ts';
import { harmlessLine } from '../../base/harmless-text.ts';
import { stateDirectory } from '../../platform/machine.ts';
import { isNear, parseListenAddress } from '../../serve/listen-address.ts';
import { type ServerOptions, startServer } from '../../server/start-server.ts';
import type { Invocation } from '../command.ts';
import type { ServeFlags } from '../commands/serve.ts';
import { usage } from '../parse.ts';
import { programVersion } from '../version.ts';

type ServeInvocation = Invocation<ServeFlags>;

const listenDefault = '127.0.0.1:8640';

/** `holdfast serve`. Runs until it is interrupted. */
export async function serve(invocation: ServeInvocation): Promise<number> {
  const { flags, output, environment, signal, variables } = invocation;
  const server = await startServer({
    dataPath: dataPathOf(invocation),
    database: flags.database,
    isKeyNew: flags.newKey,
    listen: listenOf(flags.listen ?? listenDefault),
    origin: flags.origin,
    environment,
    variables: variables.all,
    programVersion,
    log: (line) => output.errorLine(logText(environment.clock.wallMs(), line)),
  });
  const { url, setUpUrl } = server;
  if (output.isJson) {
    output.json({ message_type: 'listening', url, ...(setUpUrl ? { set_up_url: setUpUrl } : {}) });
  } else {
    output.info(`listening at ${url}`);
    if (setUpUrl !== undefined) {
      output.line(`To set it up, open this link within an hour:\n${setUpUrl}`);
    }
  }
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

/** One line of JSON: nothing in it can forge another. */
function logText(wallMs: number, line: Readonly<Record<string, unknown>>): string {
  return harmlessLine(JSON.stringify({ time: new Date(wallMs).toISOString(), ...line }));
}

function dataPathOf({ flags, variables }: ServeInvocation): string {
  if (flags.data !== undefined) return path.resolve(flags.data);
  const folder = stateDirectory(variables.all);
  if (folder === undefined) throw usage('there is no folder for state', 'Name one with --data.');
  return path.join(folder, 'server');
}

/** @throws USAGE for an address that others reach: passwords would cross the network unencrypted */
function listenOf(text: string): ServerOptions['listen'] {
  const address = parseListenAddress(text);
  if (address.kind === 'port' && address.host !== undefined && isNear(address)) {
    return { host: address.host, port: address.port };
  }
  throw usage(
    `--listen ${JSON.stringify(text)} is no address of this machine alone`,
    'Listen on 127.0.0.1, put a proxy with TLS before it, and name that by --origin.',
  );
}
