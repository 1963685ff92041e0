// Servers that both programs use in turn, on the loopback, and the lines to them.
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startCountingProxy } from '../test/tools/counting-proxy.ts';
import { startRadosgw } from '../test/tools/radosgw.ts';
import { startRcloneServer } from '../test/tools/rclone-server.ts';
import { SshServer } from '../test/tools/ssh-server.ts';
import { TcpProxy } from '../test/tools/tcp-proxy.ts';
import type { Command } from './measure.ts';
import { emptyFolder, localPlace, type Place } from './tools.ts';

/** A kind of storage, and what lies between it and the programs. */
export interface StoreLine {
  readonly kind: 'sftp' | 'rest' | 's3';
  /** Nothing: straight there. `far`: 50 ms for every round trip. `counted`: requests are counted. */
  readonly by?: 'far' | 'counted';
}

/** Of a line that is `far`. */
const farRoundTripMs = 50;
/** Both programs' repositories, and what is left of the ones before. */
const s3SizeGiB = 12;

/** A server that runs. */
interface Server {
  readonly port: number;
  /** The place with its server at another port. */
  place(port: number): Place;
  stop(): Promise<void>;
}

/** Starts servers as they are asked for, one at a time. */
export class Servers {
  readonly #folder: string;
  #kind: StoreLine['kind'] | undefined;
  #server: Server | undefined;
  #stopLine: (() => Promise<void>) | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the repositories of a row are. Ends the server and the line of the row before, if they are others. */
  async place(line: StoreLine | undefined): Promise<Place> {
    if (!line) {
      await this.stop();
      return localPlace(this.#folder);
    }
    const server = await this.#start(line.kind);
    await this.#stopLine?.();
    this.#stopLine = undefined;
    return await this.#lead(server, line.by);
  }

  async stop(): Promise<void> {
    await this.#stopLine?.();
    await this.#server?.stop();
    if (this.#kind) rmSync(join(this.#folder, this.#kind), { recursive: true, force: true });
    this.#stopLine = undefined;
    this.#server = undefined;
    this.#kind = undefined;
  }

  async #start(kind: StoreLine['kind']): Promise<Server> {
    if (this.#server && this.#kind === kind) return this.#server;
    await this.stop();
    const folder = join(this.#folder, kind);
    mkdirSync(folder, { recursive: true });
    const start = { sftp: startSftp, rest: startRest, s3: startS3 }[kind];
    this.#server = await start(folder);
    this.#kind = kind;
    return this.#server;
  }

  async #lead(server: Server, by: StoreLine['by']): Promise<Place> {
    if (by === undefined) return server.place(server.port);
    if (by === 'counted') {
      const proxy = await startCountingProxy(server.port);
      this.#stopLine = () => proxy.stop();
      return { ...server.place(proxy.port), takeRequests: () => proxy.taken().length };
    }
    const line = { roundTripMs: farRoundTripMs };
    const proxy = await TcpProxy.start({ port: server.port, line });
    this.#stopLine = () => proxy.stop();
    return server.place(proxy.port);
  }
}

/** OpenSSH's, with its own server of SFTP. */
async function startSftp(folder: string): Promise<Server> {
  const server = await SshServer.start({ folder: join(folder, 'server') });
  const [, ...key] = readFileSync(server.knownHosts, 'utf8').split(' ');
  return {
    port: server.port,
    place: (port) => {
      appendFileSync(server.knownHosts, `[127.0.0.1]:${port} ${key.join(' ')}`);
      return {
        folder,
        environment: {},
        flags: ['-o', `sftp.args=-F ${server.clientSettings}`],
        location: (name) => `sftp://${server.user}@127.0.0.1:${port}/${join(folder, name)}`,
        empty: (name) => emptyFolder(join(folder, name)),
      };
    },
    stop: () => server.stop(),
  };
}

/** rclone's, which is neither program's own. */
async function startRest(folder: string): Promise<Server> {
  const server = await startRcloneServer('restic', folder, ['--cache-objects=false']);
  return {
    port: server.port,
    place: (port) => ({
      folder,
      environment: {},
      flags: [],
      location: (name) => `rest:http://127.0.0.1:${port}/${name}/`,
      empty: (name) => emptyFolder(join(folder, name)),
    }),
    stop: () => server.stop(),
  };
}

/** Ceph's, with its objects in memory. */
async function startS3(folder: string): Promise<Server> {
  const server = await startRadosgw(folder, { sizeGiB: s3SizeGiB });
  const { port } = new URL(server.endpoint);
  return {
    port: Number(port),
    place: (at) => ({
      folder,
      environment: server.variables,
      flags: [],
      location: (name) => `s3:http://127.0.0.1:${at}/${name}`,
      empty: (name) => [removalOfBucket(join(folder, 'ceph.conf'), name)],
    }),
    stop: () => server.stop(),
  };
}

/** Removes at once what a client's removal would leave in memory for hours. */
function removalOfBucket(settings: string, name: string): Command {
  const admin = `radosgw-admin -c ${settings} bucket`;
  const remove = `${admin} rm --bucket=${name} --purge-objects --bypass-gc`;
  const script = `${admin} list | grep -q '"${name}"' || exit 0; ${remove}`;
  return { program: 'sh', args: ['-c', script], environment: {} };
}
