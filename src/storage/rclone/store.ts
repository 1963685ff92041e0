import type { Duplex } from 'node:stream';

import { defined } from '../../base/assert.ts';
import { parseDurationMs } from '../../base/duration.ts';
import { HoldfastError } from '../../base/errors.ts';
import { splitShellWords } from '../../base/shell-words.ts';
import { Http2Transport } from '../http2-transport.ts';
import { HttpClient } from '../http-client.ts';
import { stuckRequestMsDefault } from '../http-open.ts';
import { RestBackend } from '../rest-backend.ts';
import type { Store, StoreOptions } from '../store.ts';
import { type RcloneOptions, RcloneProcess } from './process.ts';

const programDefault = 'rclone';
const argsDefault = 'serve restic --stdio --b2-hard-delete';
const timeoutDefault = '1m';
const authority = 'http://localhost/';

/** What rclone reaches: it serves the REST protocol on its standard input and output, in HTTP/2, as for restic. */
export const rcloneStore: Store<'rclone'> = {
  connectionCount: 5,
  options: [
    { name: 'rclone.program', description: `path to rclone (default ${programDefault})` },
    {
      name: 'rclone.args',
      description: `its arguments before the remote (default ${argsDefault})`,
    },
    {
      name: 'rclone.timeout',
      description: `how long to wait for its start, such as 90s (default ${timeoutDefault})`,
    },
  ],
  async open({ remote }, options) {
    const runs = new RcloneRuns(remote, options);
    const client = new HttpClient({
      transport: new Http2Transport({ authority, connect: () => runs.connect() }),
      url: new URL(authority),
      host: 'rclone',
      headers: { 'user-agent': options.transport.userAgent ?? 'holdfast' },
      clock: options.environment.clock,
      stuckRequestMs: options.transport.stuckRequestMs || stuckRequestMsDefault,
    });
    await runs.start();
    return new RestBackend(client, {
      location: `rclone:${remote}`,
      connectionCount: options.connectionCount,
      onClose: () => runs.stop(),
    });
  },
};

/** rclone, started anew when it has ended though it is still needed. */
class RcloneRuns {
  readonly #options: RcloneOptions;
  #running: RcloneProcess | undefined;
  #isFresh = false;

  constructor(remote: string, options: StoreOptions) {
    const { extended, variables, environment, monitor } = options;
    const program = extended.get('program') || programDefault;
    const args = splitShellWords(extended.get('args') || argsDefault);
    this.#options = {
      program,
      // A remote that looks like a flag is still a remote.
      args: [...args, ...(remote.startsWith('-') ? ['--'] : []), remote],
      variables,
      clock: environment.clock,
      startMsMax: parseTimeout(extended.get('timeout') || timeoutDefault),
      onLine: (line) => {
        // It takes that for an error of the server; a folder that nobody needed yet is none.
        if (!line.endsWith(': error listing: directory not found'))
          monitor?.note(`rclone: ${line}`);
      },
    };
  }

  async start(): Promise<void> {
    await this.#running?.stop();
    this.#running = await RcloneProcess.start(this.#options);
    this.#isFresh = true;
  }

  async connect(): Promise<Duplex> {
    if (!this.#isFresh) await this.start();
    this.#isFresh = false;
    return defined(this.#running, 'rclone was started').stream();
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
  }
}

function parseTimeout(text: string): number {
  const timeoutMs = parseDurationMs(text);
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs;
  throw new HoldfastError('USAGE', {
    message: 'option "rclone.timeout" is not a time such as 90s or 5m',
  });
}
