import { PassThrough } from 'node:stream';

import { afterEach, describe, expect, test } from 'vitest';

import { describeError, HoldfastError } from '../../base/errors.ts';
import { codeOf } from '../conformance.ts';
import { testEnvironment } from '../test-support.ts';
import { listFiles } from './list-folder.ts';
import { repositoryLayout } from '../layout.ts';
import { SftpSession } from './sftp-session.ts';
import { PacketReader, PacketWriter, replies, requests } from './wire.ts';

/** A request as a server gets it. */
interface Asked {
  readonly type: number;
  readonly id: number;
  readonly body: PacketReader;
}

/** A server that follows a script: each request is answered by what the script says, or not at all. */
class ScriptedServer {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly asked: Asked[] = [];
  isClosed = false;

  constructor(script: (asked: Asked, server: ScriptedServer) => Buffer | undefined) {
    this.output.on('data', (packet: Buffer) => {
      for (let at = 0; at < packet.length; at += 4 + packet.readUInt32BE(at)) {
        const one = packet.subarray(at, at + 4 + packet.readUInt32BE(at));
        const asked = {
          type: one[4] ?? 0,
          id: one.readUInt32BE(5),
          body: new PacketReader(one, 9),
        };
        this.asked.push(asked);
        const answer = script(asked, this);
        if (answer) this.input.write(answer);
      }
    });
  }

  start(): Promise<SftpSession> {
    const transport = {
      input: this.input,
      output: this.output,
      beforeWrite: () => {},
      onEnd: (listener: (reason: Error | undefined) => void) => {
        this.input.once('error', listener).once('end', () => listener(undefined));
      },
      close: () => {
        this.isClosed = true;
      },
    };
    const { clock } = testEnvironment();
    return SftpSession.start(transport, { clock, stuckRequestMs: 60_000 });
  }
}

const hello = new PacketWriter(replies.version).number(3).finish();
const status = (id: number, code: number): Buffer =>
  new PacketWriter(replies.status).number(id).number(code).string('as told').string('').finish();
const handle = (id: number): Buffer =>
  new PacketWriter(replies.handle).number(id).string('h').finish();
const names = (id: number, entries: readonly string[]): Buffer => {
  const packet = new PacketWriter(replies.names).number(id).number(entries.length);
  for (const name of entries) packet.string(name).string('').number(5).long(1).number(0o100600);
  return packet.finish();
};

let session: SftpSession | undefined;
afterEach(() => session?.close());

/** A session with a server that answers the greeting, and then as the script says. */
async function with_(script: (asked: Asked) => Buffer | undefined): Promise<SftpSession> {
  const server = new ScriptedServer((asked) =>
    asked.type === requests.init ? hello : script(asked),
  );
  session = await server.start();
  return session;
}

describe('a server that breaks the protocol', () => {
  test.each([
    ['an answer to nothing that was asked', ({ id }: Asked) => status(id + 1, 0)],
    ['a packet that is too large', () => Buffer.from([0x40, 0, 0, 0, 101, 0, 0, 0, 0])],
    ['a packet without content', () => Buffer.from([0, 0, 0, 0, 101, 0, 0, 0, 0])],
    ['a reply of the wrong type', ({ id }: Asked) => handle(id)],
    [
      'a reply that ends before its time',
      ({ id }: Asked) => new PacketWriter(replies.attributes).number(id).number(1).finish(),
    ],
    [
      'data that were not asked for',
      ({ id }: Asked) => new PacketWriter(replies.data).number(id).string('x').finish(),
    ],
    [
      'a number of names that is not true',
      ({ id }: Asked) => new PacketWriter(replies.names).number(id).number(0xffffffff).finish(),
    ],
  ])('is refused in one line: %s', async (_, answer) => {
    const given = await with_(answer);
    const error = await given.stat('x').catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'PROTOCOL_BROKEN' });
    expect(describeError(error)).toMatch(/^the server answers against the protocol of SFTP: .+$/);
    expect(given.failure).toMatchObject({ code: 'PROTOCOL_BROKEN' });
    expect(await codeOf(given.stat('y'))).toBe('PROTOCOL_BROKEN');
  });

  test('gets no more data into memory than were asked for', async () => {
    const given = await with_(({ id }) =>
      new PacketWriter(replies.data).number(id).string('four').finish(),
    );
    expect(await codeOf(given.read(Buffer.from('h'), 0, new Uint8Array(3)))).toBe(
      'PROTOCOL_BROKEN',
    );
  });

  test('is told that it is no SFTP if it greets with a text', async () => {
    const server = new ScriptedServer(() => Buffer.from('Welcome to this machine!\n'));
    const error = await server.start().catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'PROTOCOL_BROKEN', hint: expect.stringMatching(/login/) });
    expect(server.isClosed).toBe(true);
  });

  test('may not give a folder without end: an empty part ends it', async () => {
    const given = await with_(({ type, id }) =>
      type === requests.readFolder ? names(id, []) : handle(id),
    );
    const list = async (): Promise<void> => {
      const options = { layout: repositoryLayout, type: 'lock' } as const;
      for await (const file of listFiles(given, 'r', options)) expect.fail(file.name);
    };
    expect(await codeOf(list())).toBe('PROTOCOL_BROKEN');
  });

  test('nor by going on for ever', async () => {
    let part = 0;
    const given = await with_(({ type, id }) => {
      if (type !== requests.readFolder) return type === requests.close ? status(id, 0) : handle(id);
      return names(id, [`${part++}`.padStart(64, '0')]);
    });
    const list = async (): Promise<void> => {
      const options = { layout: repositoryLayout, type: 'lock', entriesMax: 1000 } as const;
      for await (const file of listFiles(given, 'r', options)) expect.fail(file.name);
    };
    const error = await list().catch((cause: unknown) => cause);
    expect(describeError(error)).toBe(
      'the server lists more than 1000 names in one folder (path: r/locks)',
    );
  });

  test('cannot name a file elsewhere', async () => {
    const good = 'ab'.repeat(32);
    let parts = 0;
    const given = await with_(({ type, id }) => {
      if (type !== requests.readFolder) return type === requests.close ? status(id, 0) : handle(id);
      if (parts++ > 0) return status(id, 1);
      return names(id, [`../${good}`, `a/${good}`, '..', '', `${good}/`, `${good}\0`, good]);
    });
    const listed: string[] = [];
    const options = { layout: repositoryLayout, type: 'lock' } as const;
    for await (const { name } of listFiles(given, 'r', options)) listed.push(name);
    expect(listed).toEqual([good]);
  });
});

describe('a connection that is lost', () => {
  test('fails what waits with BACKEND_UNAVAILABLE, and what comes later', async () => {
    const server = new ScriptedServer(({ type }) => (type === requests.init ? hello : undefined));
    session = await server.start();
    const waiting = [session.stat('a'), session.remove('b'), session.readFolder(Buffer.from('h'))];
    server.input.end();
    for (const one of waiting) expect(await codeOf(one)).toBe('BACKEND_UNAVAILABLE');
    expect(await codeOf(session.stat('c'))).toBe('BACKEND_UNAVAILABLE');
  });

  test('fails what waits for its turn, too', async () => {
    const server = new ScriptedServer(({ type }) => (type === requests.init ? hello : undefined));
    session = await server.start();
    const waiting = Array.from({ length: 200 }, (_, at) => codeOf(given(at)));
    function given(at: number): Promise<unknown> {
      return session ? session.stat(`${at}`) : Promise.resolve();
    }
    expect(session.busyCount).toBe(64);
    server.input.destroy(new HoldfastError('SERVER_NOT_TRUSTED'));
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['SERVER_NOT_TRUSTED']));
  });
});

test('says which request was refused, and why', async () => {
  const given = await with_(({ id }) => status(id, 3));
  const error = await given.remove('x').catch((cause: unknown) => cause);
  expect(error).toMatchObject({ status: 3, message: 'as told' });
  expect(given.failure).toBeUndefined();
});
