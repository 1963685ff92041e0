// The process of a proxy of `tcp-proxy.ts`: it does as its parent tells it, and ends with it.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { systemClock } from '../../src/base/clock.ts';
import { portOf } from './server-port.ts';
import type { ProxyAnswer, ProxyOrder, ProxyState } from './tcp-proxy.ts';
import { Pace, Pipe, type PipeLine } from './tcp-proxy-pipe.ts';
import { FaultPlan, type Line, type Way } from './tcp-proxy-rules.ts';

/** A connection costs three ways over the line before the server sees it, as TCP's greeting does. */
const waysToConnect = 3;

const [, , targetPort = '', targetHost = '127.0.0.1'] = process.argv;
const counts = { connections: 0, upBytes: 0, downBytes: 0 };
/** Resets each connection that is open. */
const open = new Map<Socket, () => void>();
let delayMs = 0;
let paces = { up: new Pace(Infinity), down: new Pace(Infinity) };
let plan = new FaultPlan();
let server: Server | undefined;
let port = 0;

function setLine({ roundTripMs = 0, upBytesPerSecond, downBytesPerSecond }: Line): void {
  delayMs = roundTripMs / 2;
  paces = {
    up: new Pace(upBytesPerSecond ?? Infinity),
    down: new Pace(downBytesPerSecond ?? Infinity),
  };
}

function serve(client: Socket): void {
  counts.connections += 1;
  open.set(client, () => client.resetAndDestroy());
  client.pause();
  client.on('error', () => {});
  client.once('close', () => open.delete(client));
  // The line as it is now is that of the connection, whatever is set later.
  void join(client, { delayMs, paces, faults: plan.connect() });
}

interface ConnectionLine {
  readonly delayMs: number;
  readonly paces: typeof paces;
  readonly faults: PipeLine['faults'];
}

async function join(client: Socket, line: ConnectionLine): Promise<void> {
  if (line.delayMs > 0) await systemClock.sleep(waysToConnect * line.delayMs);
  if (client.destroyed) return;
  const server = connect({ port: Number(targetPort), host: targetHost, allowHalfOpen: true });
  const reset = (): void => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  open.set(client, reset);
  client.on('error', reset);
  server.on('error', reset);
  server.once('connect', () => {
    for (const socket of [client, server]) socket.setNoDelay(true);
    pipe('up', { from: client, to: server }, { ...line, reset });
    pipe('down', { from: server, to: client }, { ...line, reset });
  });
}

function pipe(
  way: Way,
  sockets: { readonly from: Socket; readonly to: Socket },
  line: ConnectionLine & { readonly reset: () => void },
): void {
  const counted = (sizeBytes: number): void => {
    counts[`${way}Bytes`] += sizeBytes;
  };
  new Pipe({ ...line, way, pace: line.paces[way], counted }, sockets).start();
}

async function listen(): Promise<void> {
  if (server) return;
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, serve);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  port = portOf(server);
}

async function refuse(forMs: number | undefined): Promise<void> {
  server?.close();
  server = undefined;
  cut();
  if (forMs !== undefined) void systemClock.sleep(forMs).then(listen);
}

function cut(): void {
  for (const reset of open.values()) reset();
}

async function obey(order: ProxyOrder): Promise<void> {
  if (order.type === 'line') setLine(order.line);
  else if (order.type === 'faults') plan = new FaultPlan(order.faults);
  else if (order.type === 'listen') await listen();
  else if (order.type === 'refuse') await refuse(order.forMs);
  else if (order.type === 'cut') cut();
}

function state(): ProxyState {
  return { ...counts, openConnections: open.size, strikes: plan.strikes, port };
}

process.on('disconnect', () => process.exit());
process.on('message', (order: ProxyOrder) => {
  void obey(order).then(() => {
    const answer: ProxyAnswer = { id: order.id, state: state() };
    process.send?.(answer);
  });
});
