import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { compiledOnce } from './run-program.ts';
import type { Line, ProxyFault } from './tcp-proxy-rules.ts';

/** What a proxy has seen. */
export interface ProxyState {
  /** Accepted since it was started. */
  readonly connections: number;
  readonly openConnections: number;
  /** Bytes delivered to the server. */
  readonly upBytes: number;
  /** Bytes delivered to clients. */
  readonly downBytes: number;
  /** How often each of the faults has struck since they were set, in their order. */
  readonly strikes: readonly number[];
  readonly port: number;
}

/** What the process of a proxy is told. */
export type ProxyOrder = { readonly id: number } & Order;
type Order =
  | { readonly type: 'line'; readonly line: Line }
  | { readonly type: 'faults'; readonly faults: readonly ProxyFault[] }
  | { readonly type: 'listen' }
  | { readonly type: 'refuse'; readonly forMs: number | undefined }
  | { readonly type: 'cut' }
  | { readonly type: 'state' };

/** Every order is answered once it is done. */
export interface ProxyAnswer {
  readonly id: number;
  readonly state: ProxyState;
}

export interface TcpProxySettings {
  /** The server behind it. */
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly line?: Line;
  readonly faults?: readonly ProxyFault[];
}

const child = fileURLToPath(new URL('./tcp-proxy-child.ts', import.meta.url));

/**
 * A bad line to a server, whatever it speaks: far away, narrow, broken as it is told. In a process of its own, so that it shares no
 * loop with what is tested or measured. What is set holds for connections that are made later.
 */
export class TcpProxy {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<ProxyState>>();
  #lastId = 0;
  /** On 127.0.0.1; the same after `refuse`. */
  port = 0;

  private constructor(process: ChildProcess) {
    this.#child = process;
    process.on('message', ({ id, state }: ProxyAnswer) => {
      this.#waiting.get(id)?.resolve(state);
      this.#waiting.delete(id);
    });
    process.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the proxy has ended'));
    });
  }

  /** Resolves when it listens. */
  static async start({ port, host, line, faults }: TcpProxySettings): Promise<TcpProxy> {
    const args = [String(port), ...(host === undefined ? [] : [host])];
    const env = { PATH: process.env['PATH'], ...compiledOnce };
    const proxy = new TcpProxy(fork(child, args, { execArgv: [], env }));
    if (line) await proxy.setLine(line);
    if (faults) await proxy.setFaults(faults);
    proxy.port = (await proxy.#tell({ type: 'listen' })).port;
    return proxy;
  }

  async setLine(line: Line): Promise<void> {
    await this.#tell({ type: 'line', line });
  }

  /** Replaces the faults; connections are counted from 1 again. None: all is well. */
  async setFaults(faults: readonly ProxyFault[]): Promise<void> {
    await this.#tell({ type: 'faults', faults });
  }

  /** Resets all connections, and refuses new ones: for so long, or until `accept`. Resolves when it refuses. */
  async refuse(forMs?: number): Promise<void> {
    await this.#tell({ type: 'refuse', forMs });
  }

  /** Takes connections again. */
  async accept(): Promise<void> {
    await this.#tell({ type: 'listen' });
  }

  /** Resets all connections that are open. */
  async cut(): Promise<void> {
    await this.#tell({ type: 'cut' });
  }

  state(): Promise<ProxyState> {
    return this.#tell({ type: 'state' });
  }

  /** Ends it and its connections. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  #tell(order: Order): Promise<ProxyState> {
    const id = ++this.#lastId;
    const answered = Promise.withResolvers<ProxyState>();
    this.#waiting.set(id, answered);
    this.#child.send({ id, ...order }, (error) => {
      if (error) answered.reject(error);
    });
    return answered.promise;
  }
}
