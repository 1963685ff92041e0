import { createHash } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { concatBytes, utf8 } from '../base/bytes.ts';
import { type ErrorCode, HoldfastError } from '../base/errors.ts';
import type { Backend, FileHandle, FileStat, FileType } from './backend.ts';

/** One storage under test. */
export interface BackendUnderTest {
  readonly backend: Backend;
  /** A second client of the same storage. */
  readonly other: Backend;
  /** Stores a file past the backend, at its path in the default layout (`data/notes`); absent if there is no way. */
  readonly plant?: (path: string, content: Uint8Array) => Promise<void>;
  /** How many files are worth listing in a test, and how many calls worth making; default 300. */
  readonly fileCount?: number;
  /** What this storage cannot do; what depends on it is then tested as far as it goes. */
  readonly lacks?: ReadonlySet<Lack>;
  /** The storage answers a put with a checksum of what it has; default false. */
  readonly tellsChecksum?: boolean;
  readonly dispose: () => Promise<void>;
}

/**
 * What real storage may lack:
 * - `exclusive-put`: another content under the name of a file replaces it, instead of FILE_EXISTS. Holdfast asks for that with
 *   the config only, which is looked for before;
 * - `exclusive-race`: of several puts at one instant more than one may be told that it stored the file;
 * - `absence`: removing what is not there succeeds;
 * - `any-content`: a file that is named after its content is stored with that content only.
 */
export type Lack = 'exclusive-put' | 'exclusive-race' | 'absence' | 'any-content';

const contentTypes: readonly FileType[] = ['key', 'lock', 'snapshot', 'index', 'pack', 'parity'];
const config: FileHandle = { type: 'config', name: '' };

/** A content-addressed handle that differs for each `seed`. */
export function handleFor(type: FileType, seed: string): FileHandle {
  return { type, name: createHash('sha256').update(seed).digest('hex') };
}

/** The content-addressed handle of `content`. */
export function handleOf(type: FileType, content: Uint8Array): FileHandle {
  return { type, name: createHash('sha256').update(content).digest('hex') };
}

/** All that `backend` lists of a type, sorted by name. */
export async function listAll(backend: Backend, type: FileType): Promise<FileStat[]> {
  const found: FileStat[] = [];
  for await (const file of backend.list(type)) found.push(file);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The code that `work` fails with; fails the test if it does not fail with one of ours. */
export async function codeOf(work: Promise<unknown>): Promise<ErrorCode> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof HoldfastError)) throw new Error(`not a HoldfastError: ${String(error)}`);
  return error.code;
}

/** What every backend and decorator must do. `make` gives an empty storage on which `create` was called. */
export function describeBackend(name: string, make: () => Promise<BackendUnderTest>): void {
  describe(name, () => {
    let under: BackendUnderTest;
    const given = (): BackendUnderTest => under;
    beforeEach(async () => {
      under = await make();
    });
    afterEach(async () => {
      await under.backend.close();
      await under.other.close();
      await under.dispose();
    });
    testFiles(given);
    testRanges(given);
    testConfig(given);
    testLists(given);
    testCancelling(given);
    testConcurrency(given);
  });
}

type Given = () => BackendUnderTest;

function testFiles(given: Given): void {
  test('says where it is and how many calls are worth running', () => {
    expect(given().backend.location).not.toBe('');
    expect(given().backend.connectionCount).toBeGreaterThan(0);
  });

  test.each(contentTypes)('stores, reads, lists and removes a file of type %s', async (type) => {
    const { backend, other } = given();
    const handle = handleOf(type, utf8('one two'));
    await backend.put(handle, [utf8('one '), utf8(''), utf8('two')]);
    expect(await other.get(handle)).toEqual(utf8('one two'));
    expect(await other.stat(handle)).toEqual({ name: handle.name, sizeBytes: 7 });
    expect(await listAll(other, type)).toEqual([{ name: handle.name, sizeBytes: 7 }]);
    await backend.remove(handle);
    expect(await codeOf(backend.get(handle))).toBe('FILE_NOT_FOUND');
    expect(await listAll(backend, type)).toEqual([]);
  });

  test('keeps files of the same name and other types apart', async () => {
    const { backend } = given();
    const content = utf8('same');
    for (const type of contentTypes) await backend.put(handleOf(type, content), [content]);
    for (const type of contentTypes) {
      await backend.remove(handleOf(type, content));
      expect(await codeOf(backend.get(handleOf(type, content)))).toBe('FILE_NOT_FOUND');
      const others = contentTypes.slice(contentTypes.indexOf(type) + 1);
      for (const other of others) {
        expect(await backend.get(handleOf(other, content))).toEqual(content);
      }
    }
  });

  test('stores an empty file', async () => {
    const { backend } = given();
    const handle = handleOf('pack', new Uint8Array());
    await backend.put(handle, []);
    expect(await backend.get(handle)).toEqual(new Uint8Array());
    expect((await backend.stat(handle)).sizeBytes).toBe(0);
  });

  test('stores many parts and a file of several MiB', async () => {
    const { backend } = given();
    const parts = Array.from({ length: 3000 }, (_, i) => new Uint8Array(i).fill(i % 251));
    const handle = handleOf('pack', concatBytes(parts));
    await backend.put(handle, parts);
    expect(Buffer.compare(await backend.get(handle), concatBytes(parts))).toBe(0);
  });

  test('says that a file is checked where the storage told its checksum, and only there', async () => {
    const { backend, tellsChecksum = false } = given();
    let count = 0;
    const onChecked = (): void => {
      count++;
    };
    const content = utf8('whole');
    await backend.put(
      handleOf('snapshot', content),
      [content.subarray(0, 2), content.subarray(2)],
      {
        onChecked,
      },
    );
    expect(count).toBe(tellsChecksum ? 1 : 0);
  });

  test('does not overwrite: FILE_EXISTS, and the first content stays', async ({ skip }) => {
    const { backend, other, lacks } = given();
    skip(lacks?.has('exclusive-put') === true, 'this storage replaces');
    const handle = handleOf('lock', utf8('first'));
    await backend.put(handle, [utf8('first')]);
    const codes = ['FILE_EXISTS', ...(lacks?.has('any-content') ? ['VERIFY_FAILED'] : [])];
    expect(codes).toContain(await codeOf(other.put(handle, [utf8('second')])));
    expect(await other.get(handle)).toEqual(utf8('first'));
  });

  test('says FILE_NOT_FOUND for what is not there', async () => {
    const { backend, lacks } = given();
    for (const handle of [config, ...contentTypes.map((type) => handleFor(type, 'absent'))]) {
      expect(await codeOf(backend.get(handle))).toBe('FILE_NOT_FOUND');
      expect(await codeOf(backend.get(handle, { start: 0, end: 1 }))).toBe('FILE_NOT_FOUND');
      expect(await codeOf(backend.stat(handle))).toBe('FILE_NOT_FOUND');
      if (lacks?.has('absence')) await backend.remove(handle);
      else expect(await codeOf(backend.remove(handle))).toBe('FILE_NOT_FOUND');
    }
  });

  test.each(['', '..', '../config', 'AB'.repeat(32), 'ab'.repeat(31), `${'a'.repeat(63)}/`])(
    'refuses the name %j',
    async (bad) => {
      const { backend } = given();
      const handle: FileHandle = { type: 'pack', name: bad };
      expect(await codeOf(backend.put(handle, [utf8('x')]))).toBe('ASSERTION_FAILED');
      expect(await codeOf(backend.get(handle))).toBe('ASSERTION_FAILED');
      expect(await codeOf(backend.remove(handle))).toBe('ASSERTION_FAILED');
    },
  );
}

function testRanges(given: Given): void {
  test('reads ranges exactly, in buffers of their own', async () => {
    const { backend } = given();
    const handle = handleOf('pack', utf8('0123456789'));
    await backend.put(handle, [utf8('0123456789')]);
    expect(await backend.get(handle, { start: 0, end: 3 })).toEqual(utf8('012'));
    expect(await backend.get(handle, { start: 4, end: 10 })).toEqual(utf8('456789'));
    expect(await backend.get(handle, { start: 10, end: 10 })).toEqual(new Uint8Array());
    const part = await backend.get(handle, { start: 3, end: 5 });
    expect([part.byteOffset, part.buffer.byteLength, part.constructor]).toEqual([0, 2, Uint8Array]);
    part.fill(0);
    expect(await backend.get(handle, { start: 3, end: 5 })).toEqual(utf8('34'));
  });

  test('says RANGE_NOT_SATISFIABLE past the end, also for absurd ranges', async () => {
    const { backend } = given();
    const handle = handleOf('pack', utf8('0123456789'));
    await backend.put(handle, [utf8('0123456789')]);
    for (const range of [
      { start: 0, end: 11 },
      { start: 10, end: 11 },
      { start: 20, end: 30 },
      { start: 0, end: 2 ** 52 },
    ]) {
      expect(await codeOf(backend.get(handle, range))).toBe('RANGE_NOT_SATISFIABLE');
    }
  });

  test.each([
    { start: -1, end: 1 },
    { start: 2, end: 1 },
    { start: 0.5, end: 1 },
    { start: 0, end: Number.NaN },
  ])('refuses the range %j', async (range) => {
    const { backend } = given();
    const handle = handleOf('pack', utf8('0123456789'));
    await backend.put(handle, [utf8('0123456789')]);
    expect(await codeOf(backend.get(handle, range))).toBe('ASSERTION_FAILED');
  });
}

function testConfig(given: Given): void {
  test('stores the config once and replaces it only when told', async () => {
    const { backend, other } = given();
    await backend.put(config, [utf8('first, longer')]);
    expect(await codeOf(other.put(config, [utf8('second')]))).toBe('FILE_EXISTS');
    await other.put(config, [utf8('second')], { replace: true });
    expect(await backend.get(config)).toEqual(utf8('second'));
    expect(await listAll(backend, 'config')).toEqual([{ name: '', sizeBytes: 6 }]);
    await backend.remove(config);
    expect(await listAll(backend, 'config')).toEqual([]);
  });

  test.each(['pack', 'parity'] as const)('replaces a %s only when told', async (type) => {
    const { backend, other, lacks, plant } = given();
    const handle = handleOf(type, utf8('healed'));
    if (type === 'parity' || !lacks?.has('any-content')) {
      await backend.put(handle, [utf8('damaged, longer')]);
    } else await plant?.(`data/${handle.name.slice(0, 2)}/${handle.name}`, utf8('damaged, longer'));
    expect(await backend.get(handle, { start: 0, end: 4 })).toEqual(utf8('dama'));
    if (!lacks?.has('exclusive-put')) {
      expect(await codeOf(backend.put(handle, [utf8('healed')]))).toBe('FILE_EXISTS');
    }
    await backend.put(handle, [utf8('healed')], { replace: true });
    expect(await backend.get(handle, { start: 0, end: 4 })).toEqual(utf8('heal'));
    expect(await other.get(handle)).toEqual(utf8('healed'));
  });

  test('replaces nothing that is named after its content and never damaged whole', async () => {
    const { backend } = given();
    const put = backend.put(handleOf('index', utf8('x')), [utf8('x')], { replace: true });
    expect(await codeOf(put)).toBe('ASSERTION_FAILED');
  });

  test('makes its folders again without harm', async () => {
    const { backend } = given();
    await backend.put(config, [utf8('config')]);
    await backend.create();
    expect(await backend.get(config)).toEqual(utf8('config'));
  });
}

function testLists(given: Given): void {
  test.each(contentTypes)('lists all files of type %s once', async (type) => {
    const { backend, fileCount: length = 300 } = given();
    const handles = Array.from({ length }, (_, i) => handleOf(type, new Uint8Array(i)));
    await Promise.all(handles.map((handle, i) => backend.put(handle, [new Uint8Array(i)])));
    const expected = handles.map((handle, i) => ({ name: handle.name, sizeBytes: i }));
    expect(await listAll(backend, type)).toEqual(
      expected.sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  });

  test('may be left in the middle of a list, and used inside it', async () => {
    const { backend } = given();
    for (const text of ['a', 'b', 'c']) {
      await backend.put(handleOf('index', utf8(text)), [utf8(text)]);
    }
    for await (const file of backend.list('index')) {
      expect((await backend.stat({ type: 'index', name: file.name })).sizeBytes).toBe(1);
      break;
    }
    for await (const file of backend.list('index')) {
      await backend.remove({ type: 'index', name: file.name });
    }
    expect(await listAll(backend, 'index')).toEqual([]);
  });

  test('leaves out names that are not of 64 hex digits', async ({ skip }) => {
    const { backend, plant = () => skip('this storage cannot hold other names') } = given();
    const good = handleOf('pack', utf8('x'));
    await backend.put(good, [utf8('x')]);
    const folder = good.name.slice(0, 2);
    await plant('data/notes', utf8('note'));
    await plant(`data/${good.name}`, utf8('file directly in data'));
    await plant(`data/${folder}/${good.name}-tmp-123`, utf8('half'));
    await plant(`data/${folder}/${good.name.toUpperCase()}`, utf8('other'));
    await plant('snapshots/README', utf8('note'));
    expect(await listAll(backend, 'pack')).toEqual([{ name: good.name, sizeBytes: 1 }]);
    expect(await listAll(backend, 'snapshot')).toEqual([]);
  });
}

function testCancelling(given: Given): void {
  test('ends calls whose signal has aborted with CANCELLED, and stores nothing', async () => {
    const { backend } = given();
    const handle = handleOf('snapshot', utf8('x'));
    const signal = AbortSignal.abort();
    expect(await codeOf(backend.put(handle, [utf8('x')], { signal }))).toBe('CANCELLED');
    expect(await listAll(backend, 'snapshot')).toEqual([]);
    await backend.put(handle, [utf8('x')]);
    const list = async (): Promise<void> => {
      for await (const file of backend.list('snapshot', { signal })) expect.fail(file.name);
    };
    expect(await codeOf(backend.get(handle, undefined, { signal }))).toBe('CANCELLED');
    expect(await codeOf(backend.stat(handle, { signal }))).toBe('CANCELLED');
    expect(await codeOf(backend.remove(handle, { signal }))).toBe('CANCELLED');
    expect(await codeOf(backend.create({ signal }))).toBe('CANCELLED');
    expect(await codeOf(list())).toBe('CANCELLED');
    expect(await backend.get(handle)).toEqual(utf8('x'));
  });
}

function testConcurrency(given: Given): void {
  test('lets exactly one of many concurrent puts of a name win', async ({ skip }) => {
    const { backend, other, lacks } = given();
    const isRacy = lacks?.has('exclusive-put') === true || lacks?.has('exclusive-race') === true;
    skip(isRacy, 'this storage cannot tell them apart');
    const handle = handleFor('key', 'race');
    const puts = Array.from({ length: 16 }, (_, i) =>
      (i % 2 === 0 ? backend : other).put(handle, [utf8(`writer ${i}`)]),
    );
    const ends = await Promise.allSettled(puts);
    const winners = ends.flatMap((end, i) => (end.status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    expect(await backend.get(handle)).toEqual(utf8(`writer ${winners[0]}`));
    for (const end of ends) {
      if (end.status === 'rejected') expect(end.reason.code).toBe('FILE_EXISTS');
    }
  });

  test('runs many calls at once', async () => {
    const { backend } = given();
    const work = Array.from({ length: 100 }, async (_, i) => {
      const content = new Uint8Array(1000 + i).fill(i);
      const handle = handleOf('pack', content);
      await backend.put(handle, [content]);
      expect(await backend.get(handle)).toEqual(content);
      expect(await backend.get(handle, { start: 10, end: 20 })).toEqual(content.slice(10, 20));
      if (i % 2 === 0) await backend.remove(handle);
    });
    await Promise.all(work);
    expect(await listAll(backend, 'pack')).toHaveLength(50);
  });
}
