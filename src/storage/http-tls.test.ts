import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import { type Certificate, makeCertificate } from '../../test/tools/certificates.ts';
import { describeWith } from '../../test/tools/peers.ts';
import {
  answer,
  type ScriptedServer,
  startScriptedServer,
} from '../../test/tools/scripted-server.ts';
import { restStore } from './rest/store.ts';
import type { StoreOptions } from './store.ts';
import { temporaryFolder } from './test-support.ts';

const config = { type: 'config', name: '' } as const;
const local = 'DNS:localhost,IP:127.0.0.1';

async function why(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'SERVER_NOT_TRUSTED' });
  const text = describeError(error).replace(/:[0-9]{4,5}\b/, ':PORT');
  expect(text).not.toMatch(/secret/);
  return text;
}

describeWith(['openssl'], 'TLS', () => {
  const folder = temporaryFolder();
  let authority: Certificate;
  let server: Certificate;
  const opened: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    authority = await makeCertificate(folder.path, { name: 'authority' });
    server = await makeCertificate(folder.path, {
      name: 'server',
      subjects: local,
      issuer: authority,
    });
  });
  afterEach(async () => {
    for (const close of opened.splice(0).toReversed()) await close();
  });
  afterAll(() => folder.remove());

  async function serve({ cert, key }: Certificate, more = {}): Promise<ScriptedServer> {
    const tls = { cert, key, ...more };
    const started = await startScriptedServer(
      (_, socket) => void socket.write(answer(200, 'content')),
      { tls },
    );
    opened.push(started.stop);
    return started;
  }

  async function read(url: string, options: Partial<StoreOptions> = {}): Promise<Uint8Array> {
    const backend = await restStore.open(
      { scheme: 'rest', url },
      {
        environment: systemEnvironment,
        connectionCount: 2,
        extended: new Map(),
        variables: {},
        transport: { caCertificateFiles: [authority.file] },
        ...options,
      },
    );
    try {
      return await backend.get(config);
    } finally {
      await backend.close();
    }
  }

  test('trusts an authority of --cacert, and none without', async () => {
    const { port } = await serve(server);
    const url = `https://anna:secret@localhost:${port}/`;
    expect(await read(url)).toEqual(utf8('content'));
    expect(await why(read(url, { transport: {} }))).toMatchInlineSnapshot(
      `"the server's certificate is signed by an authority that is not known (host: localhost:PORT)"`,
    );
    expect(await read(url, { transport: { isTlsInsecure: true } })).toEqual(utf8('content'));
  });

  test('says what is wrong with a certificate', async () => {
    const alone = await makeCertificate(folder.path, { name: 'alone', subjects: local });
    const issuer = authority;
    const old = await makeCertificate(folder.path, {
      name: 'old',
      subjects: local,
      issuer,
      validDays: -1,
    });
    const elsewhere = await makeCertificate(folder.path, {
      name: 'else',
      subjects: 'DNS:else.example',
      issuer,
    });
    const said: string[] = [];
    for (const certificate of [alone, old, elsewhere]) {
      const { port } = await serve(certificate);
      said.push(await why(read(`https://anna:secret@localhost:${port}/`)));
    }
    expect(said).toMatchInlineSnapshot(`
      [
        "the server's certificate is signed by itself (host: localhost:PORT)",
        "the server's certificate has expired (host: localhost:PORT)",
        "the server's certificate is for another host (host: localhost:PORT)",
      ]
    `);
  });

  test('says that a server speaks no TLS', async () => {
    const plain = createServer((socket) => {
      socket.once('data', () => socket.end(answer(400)));
      socket.on('error', () => {});
    });
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    opened.push(async () => void plain.close());
    const port = Reflect.get(plain.address() ?? {}, 'port');
    expect(await why(read(`https://localhost:${port}/`))).toMatchInlineSnapshot(
      `"the server does not speak TLS (host: localhost:PORT, reason: wrong version number)"`,
    );
  });

  test('shows a client certificate where one is asked for', async () => {
    const client = await makeCertificate(folder.path, {
      name: 'client',
      subjects: 'DNS:c',
      issuer: authority,
    });
    const { port } = await serve(server, { requestCert: true, ca: authority.cert });
    const url = `https://localhost:${port}/`;
    const transport = { caCertificateFiles: [authority.file], clientCertificateFile: client.file };
    expect(await read(url, { transport })).toEqual(utf8('content'));
    expect(await why(read(url))).toMatch(/certificate required|alert/);
  });

  test('refuses certificate files that are none, by their names', async () => {
    const bad = path.join(folder.path, 'bad.pem');
    writeFileSync(bad, 'no certificate');
    for (const transport of [
      { caCertificateFiles: [bad] },
      { caCertificateFiles: ['/absent.pem'] },
      { clientCertificateFile: bad },
    ]) {
      const work = read('https://localhost:1/', { transport });
      await expect(work).rejects.toMatchObject({
        code: 'USAGE',
        details: { path: expect.anything() },
      });
    }
  });

  test('goes through a proxy that sees the name of the host, and no more', async () => {
    const issuer = authority;
    const subjects = 'DNS:storage.example';
    const far = await serve(await makeCertificate(folder.path, { name: 'far', subjects, issuer }));
    const asked: string[] = [];
    const proxy = await startScriptedServer(({ method, path: target, headers }, socket) => {
      asked.push(`${method} ${target} ${headers['proxy-authorization']}`);
      socket.removeAllListeners('data');
      const onward = connect(far.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Go\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
    });
    opened.push(proxy.stop);
    const variables = { HTTPS_PROXY: `p:hidden@127.0.0.1:${proxy.port}` };
    expect(await read('https://anna:secret@storage.example/r/', { variables })).toEqual(
      utf8('content'),
    );
    const login = Buffer.from('p:hidden').toString('base64');
    expect(asked).toEqual([`CONNECT storage.example:443 Basic ${login}`]);
    expect(far.requests[0]).toMatchObject({
      path: '/r/config',
      headers: { host: 'storage.example' },
    });
    expect(far.requests[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  test('follows no redirect out of it', async () => {
    const to = answer(301, '', { Location: 'http://localhost/r/config' });
    const { cert, key } = server;
    const redirecting = await startScriptedServer((_, socket) => void socket.write(to), {
      tls: { cert, key },
    });
    opened.push(redirecting.stop);
    await expect(read(`https://localhost:${redirecting.port}/r/`)).rejects.toMatchObject({
      code: 'SERVER_ANSWER_INVALID',
      message: 'the storage redirects to an address that is not encrypted',
    });
  });
});
