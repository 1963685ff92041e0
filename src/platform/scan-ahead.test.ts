import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defined } from '../base/assert.ts';
import { isHoldfastError } from '../base/errors.ts';
import { setExtendedAttribute } from './attributes.ts';
import { openDirectory, scanDirectory } from './directory.ts';
import { closeFile } from './files.ts';
import { b, latin } from './fixtures/both-systems.ts';
import { unpacked } from './packed-scan.ts';
import { ScanAhead, type ScannedDirectory, type ScanTicket } from './scan-ahead.ts';

let folder: string;
let scanner: ScanAhead;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-scan-ahead-')));
  scanner = new ScanAhead();
});
afterEach(() => {
  scanner.close();
  rmSync(folder, { recursive: true, force: true });
});

function make(name: string, fileCount: number, prefix = 'file '): Uint8Array {
  const at = path.join(folder, name);
  mkdirSync(at);
  for (let i = 0; i < fileCount; i++) writeFileSync(path.join(at, `${prefix}${i}`), `${i}`);
  return b(at);
}

function scanHere(at: Uint8Array): ReturnType<typeof scanDirectory> {
  const directory = openDirectory(at);
  try {
    return scanDirectory(directory, { extendedAttributes: true });
  } finally {
    closeFile(directory);
  }
}

/** As the thread reads it: once it has begun with one ticket it cannot be the caller's. */
async function answerOf(tickets: readonly ScanTicket[]): Promise<(ScannedDirectory | undefined)[]> {
  while (scanner.openCount > 0) await new Promise((resolve) => setImmediate(resolve));
  return tickets.map(({ scan }) => scan);
}

it('gives what reading the directories here gives', async () => {
  const directories = Array.from({ length: 30 }, (_, i) => make(`d${i}`, i));
  const handle = openDirectory(b(path.join(folder, 'd29')));
  setExtendedAttribute(
    { directory: handle, name: b('file 3') },
    { name: b('user.note'), value: b('x') },
  );
  closeFile(handle);
  writeFileSync(Buffer.concat([b(folder), b('/d29/'), Buffer.from([0xff, 0x0a])]), '');
  const scans = await answerOf(scanner.ask(directories));
  for (const [i, scan] of scans.entries()) {
    const entries = scan?.entries.map(({ status, ...rest }) => ({
      ...rest,
      status: isHoldfastError(status) ? status : unpacked(status),
    }));
    expect(entries).toEqual(scanHere(defined(directories[i], 'as many as were asked for')));
  }
  const tagged = scans[29]?.entries.find((entry) => latin(entry.name) === 'file 3');
  expect(tagged?.extendedAttributes.map(({ name }) => latin(name))).toEqual(['user.note']);
});

it('gives what links hold', async () => {
  const at = make('links', 3);
  symlinkSync('nowhere', path.join(folder, 'links', 'file 1.link'));
  const [scan] = await answerOf(scanner.ask([at]));
  const link = defined(
    scan?.entries.find((entry) => latin(entry.name) === 'file 1.link'),
    'the link is there',
  );
  expect(latin(defined(scan?.linkTargets.get(link.name), 'it has a target'))).toBe('nowhere');
});

it('leaves what is missing, a link, or very large to the caller', async () => {
  const plain = make('plain', 1);
  symlinkSync('plain', path.join(folder, 'link'));
  const large = make('large', 1200, 'long name '.repeat(24));
  const paths = [b(path.join(folder, 'missing')), b(path.join(folder, 'link')), large, plain];
  const scans = await answerOf(scanner.ask(paths));
  expect(scans.map((scan) => scan?.entries.length)).toEqual([undefined, undefined, undefined, 1]);
});

it('lets the caller read what the thread has not begun', () => {
  const [ticket] = scanner.ask([make('d', 1)]);
  // The thread is not up yet: nothing can have come.
  expect(scanner.waitFor(defined(ticket, 'one for each'))).toBeUndefined();
  expect(ticket).toMatchObject({ isDone: true, scan: undefined });
});

it('answers nothing more once it is closed', () => {
  const asked = scanner.ask([make('d', 1)]);
  scanner.close();
  expect(asked[0]).toMatchObject({ isDone: true, scan: undefined });
  const [late] = scanner.ask([make('e', 1)]);
  expect(scanner.waitFor(defined(late, 'one for each'))).toBeUndefined();
});
