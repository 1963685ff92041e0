import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../base/bytes.ts';
import { systemEnvironment } from '../../base/environment.ts';
import type { StreamSource } from '../source.ts';
import { type CommandSourceOptions, openCommandSource } from './command-source.ts';
import { InputSource } from './input-source.ts';
import { streamPath } from './stream-path.ts';

const environment = systemEnvironment;

async function contentOf(source: StreamSource): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of source.read()) parts.push(part);
  return Buffer.from(concatBytes(parts)).toString();
}

async function run(command: string[], options: Partial<CommandSourceOptions> = {}) {
  return openCommandSource(command, { environment, fileName: 'dump.sql', ...options });
}

async function* broken() {
  yield Buffer.from('a');
  throw new Error('EIO');
}

it.each([
  ['stdin', '/stdin'],
  ['/x/../y/z', '/y/z'],
  ['../q/z', '/q/z'],
])('stores %s as %s', (name, path) => expect(Buffer.from(streamPath(name)).toString()).toBe(path));

it.each([[''], ['.'], ['/'], ['..']])('refuses %j as a name', (name) => {
  expect(() => streamPath(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

describe('InputSource', () => {
  it('gives what the stream gives, once', async () => {
    const source = new InputSource(Readable.from([Buffer.from('ab'), Buffer.from('c')]), {
      fileName: 'a/b',
    });
    expect(Buffer.from(source.path).toString()).toBe('/a/b');
    expect(source.paths).toEqual(['/a/b']);
    await expect(source.settled()).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    expect(await contentOf(source)).toBe('abc');
    await source.settled();
    await expect(contentOf(source)).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    await source.close();
  });

  it('fails if the stream fails', async () => {
    const source = new InputSource(Readable.from(broken()), { fileName: 'stdin' });
    await expect(contentOf(source)).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    await expect(source.settled()).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    const texts = new InputSource(Readable.from(['text']), { fileName: 'stdin' });
    await expect(contentOf(texts)).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
  });

  it('stops when told to', async () => {
    const stop = new AbortController();
    const input = new Readable({ read: () => {} });
    const source = new InputSource(input, { fileName: 'stdin', signal: stop.signal });
    const content = contentOf(source);
    stop.abort();
    await expect(content).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(
      contentOf(new InputSource(input, { fileName: 'x', signal: stop.signal })),
    ).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});

describe('CommandSource', () => {
  it('gives the output of a command that succeeds', async () => {
    const source = await run(['printf', '%s', '$HOME; `x` "']);
    expect(await contentOf(source)).toBe('$HOME; `x` "');
    await source.settled();
    await source.close();
    expect(source.paths).toEqual(['/dump.sql']);
  });

  it('loses nothing of a command that ends before it is read', async () => {
    const source = await run(['sh', '-c', 'printf early']);
    // Long enough for its end to be seen; a shorter one would only weaken the test.
    await environment.clock.sleep(300);
    expect(await contentOf(source)).toBe('early');
  });

  it('gives much, and waits for a slow reader', async () => {
    const source = await run(['head', '-c', '3000000', '/dev/zero']);
    let sizeBytes = 0;
    for await (const part of source.read()) {
      sizeBytes += part.length;
      if (sizeBytes < 500_000) await environment.clock.sleep(1);
    }
    expect(sizeBytes).toBe(3_000_000);
  });

  it.each([
    ['exit 3', 'it exited with 3'],
    ['kill -TERM $$', 'SIGTERM ended it'],
    ['exec >&-; exit 1', 'it exited with 1'],
  ])('fails after "%s", whatever it wrote before', async (script, how) => {
    const source = await run(['sh', '-c', `echo part; ${script}`, 'sh', 'secret']);
    const reading = contentOf(source);
    await expect(reading).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    await expect(reading).rejects.toThrow(how);
    await expect(reading).rejects.not.toThrow('secret');
    await expect(source.settled()).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    await source.close();
  });

  it('fails at once if it cannot be started', async () => {
    await expect(run(['/no/such/program'])).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      details: { command: '/no/such/program' },
    });
    await expect(run(['a\0b'])).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    await expect(run([])).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('passes the standard error on', async () => {
    const heard: Uint8Array[] = [];
    const source = await run(['sh', '-c', 'echo warning >&2; echo out'], {
      onErrorOutput: (bytes) => heard.push(bytes),
    });
    expect(await contentOf(source)).toBe('out\n');
    expect(Buffer.from(concatBytes(heard)).toString()).toBe('warning\n');
  });

  it('reads nothing from our standard input', async () => {
    expect(await contentOf(await run(['cat']))).toBe('');
  });

  it('stops when told to, and ends the command', async () => {
    const stop = new AbortController();
    const source = await run(['sh', '-c', 'echo start; exec sleep 1000'], { signal: stop.signal });
    const reading = (async () => {
      for await (const part of source.read()) if (part.length > 0) stop.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
    const start = performance.now();
    await source.close();
    await source.close();
    expect(performance.now() - start).toBeLessThan(3000);
    await expect(run(['true'], { signal: stop.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('ends a command that nobody reads', async () => {
    const source = await run(['sleep', '1000']);
    await source.close();
    await expect(source.settled()).rejects.toThrow('SIGTERM ended it');
  });
});
