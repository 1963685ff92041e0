import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { portOf } from './server-port.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { FaultPlan, type ProxyFault } from './tcp-proxy-rules.ts';

const large = Buffer.alloc(6 << 20, 'some bytes, and ');

/** Answers a line `send N` with N bytes, and anything else, once it has ended, with its hash. */
function serve(socket: Socket): void {
  const hash = createHash('sha256');
  socket.on('error', () => {});
  socket.on('data', (piece: Buffer) => {
    const asked = /^send ([0-9]+)\n$/.exec(piece.toString('latin1', 0, 20))?.[1];
    if (asked !== undefined) socket.write(large.subarray(0, Number(asked)));
    else hash.update(piece);
  });
  socket.on('end', () => socket.end(hash.digest('hex')));
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What a client got, and how it ended. */
interface Ended {
  readonly got: Buffer;
  readonly error: string | undefined;
}

describe('a line of a process of its own', () => {
  let server: Server;
  let proxy: TcpProxy;
  const clients = new Set<Socket>();

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, serve);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpProxy.start({ port: portOf(server) });
  });

  afterEach(async () => {
    for (const client of clients) client.destroy();
    clients.clear();
    await proxy.setLine({});
    await proxy.setFaults([]);
  });

  afterAll(async () => {
    await proxy.stop();
    server.close();
  });

  /** Sends bytes and the end, and takes what comes until the end. */
  async function talk(bytes: string | Buffer, { ends = true } = {}): Promise<Ended> {
    const client = connect({ port: proxy.port, allowHalfOpen: true });
    clients.add(client);
    const parts: Buffer[] = [];
    let error: string | undefined;
    client.on('data', (part: Buffer) => parts.push(part));
    client.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code));
    client.write(bytes);
    if (ends) client.end();
    await new Promise((resolve) => client.once('end', resolve).once('close', resolve));
    client.destroy();
    return { got: Buffer.concat(parts), error };
  }

  test('brings all bytes both ways, and the end', async () => {
    const before = await proxy.state();
    const { got, error } = await talk(large);
    expect({ got: got.toString(), error }).toEqual({ got: hashOf(large), error: undefined });
    const asked = await talk('send 5000000\n');
    expect(asked.got.byteLength).toBe(5_000_000 + 64);
    const after = await proxy.state();
    expect(after.connections - before.connections).toBe(2);
    expect(after.upBytes - before.upBytes).toBe(large.byteLength + 13);
    expect(after.downBytes - before.downBytes).toBe(64 + 5_000_064);
  });

  test('makes a round trip longer, whatever goes on in it', async () => {
    await proxy.setLine({ roundTripMs: 40 });
    const startedMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => talk(large)));
    const spentMs = performance.now() - startedMs;
    expect(answers.map(({ got }) => got.toString())).toEqual(answers.map(() => hashOf(large)));
    // To connect takes one round trip, to be answered another.
    expect(spentMs).toBeGreaterThan(79);
  });

  test('is as narrow as it is told', async () => {
    await proxy.setLine({ upBytesPerSecond: 40e6 });
    const startedMs = performance.now();
    await Promise.all([talk(large.subarray(0, 2e6)), talk(large.subarray(0, 2e6))]);
    expect(performance.now() - startedMs).toBeGreaterThan(95);
    await proxy.setLine({ downBytesPerSecond: 40e6 });
    const askedMs = performance.now();
    await talk('send 4000000\n');
    expect(performance.now() - askedMs).toBeGreaterThan(95);
  });

  test('resets after so many bytes, once', async () => {
    await proxy.setFaults([{ does: 'reset', way: 'up', afterBytes: 1e6 }]);
    const before = await proxy.state();
    expect((await talk(large)).error).toMatch(/ECONNRESET|EPIPE/);
    const { strikes, upBytes } = await proxy.state();
    expect({ strikes, sizeBytes: upBytes - before.upBytes }).toEqual({
      strikes: [1],
      sizeBytes: 1e6,
    });
    expect((await talk(large)).got.toString()).toBe(hashOf(large));
  });

  test('ends an answer in the middle as if the server had closed', async () => {
    await proxy.setFaults([{ does: 'truncate', way: 'down', afterBytes: 1234, asked: '^send ' }]);
    const { got, error } = await talk('send 5000\n', { ends: false });
    expect({ sizeBytes: got.byteLength, error }).toEqual({ sizeBytes: 1234, error: undefined });
  });

  test('ends what is sent in the middle, and brings the answer', async () => {
    await proxy.setFaults([{ does: 'truncate', way: 'up', afterBytes: 999 }]);
    const { got } = await talk(large.subarray(0, 5000), { ends: false });
    expect(got.toString()).toBe(hashOf(large.subarray(0, 999)));
  });

  test('stalls, and goes on where it is told', async () => {
    await proxy.setFaults([{ does: 'stall', way: 'down', afterBytes: 10, stallMs: 50 }]);
    const startedMs = performance.now();
    expect((await talk('send 5000\n')).got.byteLength).toBe(5064);
    expect(performance.now() - startedMs).toBeGreaterThan(49);
  });

  test('stalls for ever', async () => {
    await proxy.setFaults([{ does: 'stall', way: 'down', connection: 2 }]);
    await talk('first');
    const before = await proxy.state();
    const stalled = talk('second');
    while ((await proxy.state()).upBytes < before.upBytes + 6);
    expect((await talk('third')).got.toString()).toBe(hashOf(Buffer.from('third')));
    const { strikes, downBytes } = await proxy.state();
    expect({ strikes, sizeBytes: downBytes - before.downBytes }).toEqual({
      strikes: [1],
      sizeBytes: 64,
    });
    await proxy.cut();
    expect((await stalled).error).toBe('ECONNRESET');
  });

  test('refuses, cuts what is open, and takes connections at the same port again', async () => {
    const { port } = proxy;
    const open = talk('send 100\n', { ends: false });
    while ((await proxy.state()).openConnections === 0);
    await proxy.refuse();
    expect((await open).error).toBe('ECONNRESET');
    expect((await talk('x')).error).toBe('ECONNREFUSED');
    await proxy.accept();
    expect(proxy.port).toBe(port);
    expect((await talk('x')).got.toString()).toBe(hashOf(Buffer.from('x')));
    await proxy.refuse(30);
    expect((await talk('x')).error).toBe('ECONNREFUSED');
    let last = await talk('x');
    while (last.error === 'ECONNREFUSED') last = await talk('x');
    expect(last.got.toString()).toBe(hashOf(Buffer.from('x')));
  });

  test('refuses as its server does', async () => {
    const lost = await TcpProxy.start({ port: 1 });
    const client = connect(lost.port);
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    await lost.stop();
    await expect(lost.state()).rejects.toThrow();
  });
});

/** Where faults strike in pieces of one connection. */
function strikesOf(faults: readonly ProxyFault[], pieces: readonly string[]): number[][] {
  const connection = new FaultPlan(faults).connect();
  return pieces.map((piece) =>
    connection.pass('up', Buffer.from(piece)).map(({ offset }) => offset),
  );
}

describe('a fault', () => {
  test.each<[string, ProxyFault, string[], number[][]]>([
    ['at once', { does: 'stall', way: 'up' }, ['', 'abc'], [[0], []]],
    [
      'after bytes of several pieces',
      { does: 'stall', way: 'up', afterBytes: 4 },
      ['', 'abc', 'de'],
      [[], [], [1]],
    ],
    [
      'where something is asked',
      { does: 'stall', way: 'up', asked: 'c' },
      ['ab', 'abcd', 'c'],
      [[], [2], []],
    ],
    [
      'across pieces',
      { does: 'stall', way: 'up', asked: 'bc', afterBytes: 3 },
      ['ab', 'cdef', 'x'],
      [[], [3], []],
    ],
    [
      'as often as it is told',
      { does: 'stall', way: 'up', asked: 'c', times: 2 },
      ['c', 'xc', 'c'],
      [[0], [1], []],
    ],
    ['only in its own way', { does: 'stall', way: 'down' }, ['', 'abc'], [[], []]],
    [
      'only in its own connection',
      { does: 'stall', way: 'up', connection: 2 },
      ['', 'abc'],
      [[], []],
    ],
  ])('strikes %s', (_, fault, pieces, expected) => {
    expect(strikesOf([fault], pieces)).toEqual(expected);
  });

  test('several strike in the order of their places', () => {
    const faults: ProxyFault[] = [
      { does: 'stall', way: 'up', afterBytes: 5 },
      { does: 'stall', way: 'up', afterBytes: 2 },
    ];
    expect(strikesOf(faults, ['abcdefg'])).toEqual([[2, 5]]);
  });
});
