import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toHex } from '../base/bytes.ts';
import { sha256 } from '../kernels/sha256.ts';
import { jsonLines, TestPlace } from './holdfast-test-support.ts';

/** Commands that ran as a process. */
const started = new Set<string>();
let place: TestPlace;

beforeEach(async () => {
  place = TestPlace.create(started);
  await place.createRepository();
  mkdirSync(place.at('source/below'), { recursive: true });
  writeFileSync(place.at('source/below/file'), 'content');
  await place.must(['backup', 'source', '-q']);
});
afterEach(() => place.remove());

/** All files of one kind. */
function filesOf(kind: 'index' | 'data' | 'snapshots'): string[] {
  return readdirSync(path.join(place.repository, kind), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

function damage(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.byteLength >> 2;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

const harms = [
  {
    what: 'a damaged index file',
    harm: () => filesOf('index').forEach(damage),
    next: /"holdfast repair index"/,
  },
  {
    what: 'damaged packs',
    harm: () => filesOf('data').forEach(damage),
    next: /"holdfast repair (packs|index)"/,
  },
  {
    what: 'lost packs',
    harm: () => filesOf('data').forEach((file) => rmSync(file)),
    next: /"holdfast repair (packs|index)"/,
  },
  {
    what: 'a damaged snapshot',
    harm: () => filesOf('snapshots').forEach(damage),
    next: /"holdfast repair snapshots --dry-run"/,
  },
];

test.each(harms)(
  '$what: check tells it, and so does a backup, however quiet',
  async ({ harm, next }) => {
    harm();
    const check = await place.run(['check', '--read-data', '--quiet']);
    expect(check).toMatchObject({ exitCode: 1, output: '' });
    expect(check.errors).toMatch(/^error: /);
    expect(check.errors).toMatch(next);
    const backup = await place.run(['backup', 'source', '--quiet']);
    expect(backup).toMatchObject({ exitCode: 3, output: '' });
    expect(backup.errors).toMatch(/^error: /);
    expect(backup.errors).toContain('Warning: the repository is damaged');
  },
);

test('a snapshot that cannot be read is told once, however often it is asked for', async () => {
  filesOf('snapshots').forEach(damage);
  await place.run(['backup', 'source', '--quiet']);
  const { errors } = await place.run(['repair', 'snapshots', '--dry-run', '--quiet']);
  expect(errors.match(/snapshot [0-9a-f]{64}/g)).toHaveLength(1);
});

test('with --json it is told as JSON, and the snapshot is stored', async () => {
  filesOf('index').forEach(damage);
  const check = await place.run(['check', '--json', '--quiet']);
  expect(check.exitCode).toBe(1);
  expect(jsonLines(check.errors)[0]).toMatchObject({ message_type: 'error' });
  const backup = await place.run(['backup', 'source', '--json', '--quiet']);
  const lines = jsonLines(backup.errors);
  expect(lines[0]).toMatchObject({ message_type: 'error', during: 'scan' });
  expect(lines.at(-1)).toMatchObject({ message_type: 'exit_error', code: 3 });
  filesOf('index')
    .filter((file) => !isSound(file))
    .forEach((file) => rmSync(file));
  await place.must(['restore', 'latest', '--target', 'restored', '--quiet']);
  expect(readFileSync(place.at('restored/source/below/file'), 'utf8')).toBe('content');
});

/** True if the file is what its name says. */
function isSound(file: string): boolean {
  return toHex(sha256(readFileSync(file))) === path.basename(file);
}
