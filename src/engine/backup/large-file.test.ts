import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { silentMonitor } from '../../base/monitor.ts';
import { chunkSizeBytesMin } from '../../kernels/chunker.ts';
import { punchHole } from '../../platform/holes.ts';
import { readStatus } from '../../platform/status.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { SoleRead } from './file-reader.ts';
import { LargeFileReader } from './large-file.ts';
import { Pipeline } from './pipeline.ts';

const sizeBytes = 8 << 20;
const dataStart = sizeBytes - 4096;
let folder: string;
let file: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-large-'));
  file = path.join(folder, 'sparse');
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
  fd = openSync(file, 'r+');
  writeSync(fd, 'data', dataStart);
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

/** Calls `before` when a reading of the file begins to look for holes, and `amid` when it has found some. */
function clockThat(before: () => void, amid: () => void): Clock {
  let calls = 0;
  const monotonicMs = (): number => {
    if (calls++ % 2 === 0) before();
    else amid();
    return 0;
  };
  return { ...systemClock, monotonicMs };
}

async function read(clock: Clock): Promise<{ result: SoleRead | undefined; missing: number }> {
  const repository = testRepository();
  const indexed = new IndexedRepository(repository, BlobIndex.create());
  const context = { environment: systemEnvironment, monitor: silentMonitor };
  const pipeline = Pipeline.start(indexed, { workerCount: 2, dryRun: false }, context);
  try {
    const reader = new LargeFileReader(pipeline, repository.config.polynomial, clock);
    const bytes = Buffer.from(file);
    const entry = { name: bytes, path: bytes, status: readStatus(bytes), extendedAttributes: [] };
    const result = await reader.read(entry, undefined, { bytes: () => {}, added: () => {} });
    await pipeline.finish();
    const ids = result?.ids ?? new Uint8Array(0);
    let missing = 0;
    for (let at = 0; at < ids.byteLength; at += 32) {
      if (indexed.index.find('data', ids, at) < 0) missing++;
    }
    return { result, missing };
  } finally {
    await pipeline.close();
  }
}

test('a quiet sparse file is stored whole', async () => {
  const { result, missing } = await read(systemClock);
  expect(result).toMatchObject({ sizeBytes, changing: false });
  expect(result?.ids.byteLength).toBeGreaterThanOrEqual((32 * sizeBytes) / (2 * chunkSizeBytesMin));
  expect(missing).toBe(0);
});

test('names no chunk of zeros that was never stored, though the first hole is filled each time', async () => {
  const clock = clockThat(
    () => punchHole(fd, 0, 1 << 20),
    () => writeSync(fd, 'filled', 1000),
  );
  const { missing } = await read(clock);
  expect(missing).toBe(0);
});

test('does not call a torn file unchanged the next time', async () => {
  let changes = 0;
  const clock = clockThat(
    () => {},
    () => {
      writeSync(fd, String(++changes), dataStart);
      utimesSync(file, changes, changes);
    },
  );
  const { result } = await read(clock);
  expect(result).toMatchObject({ sizeBytes, changing: true });
  expect(fstatSync(fd).size).toBe(sizeBytes);
  expect(result?.now?.status.mtime.seconds).toBeLessThan(fstatSync(fd).mtimeMs / 1000);
});
