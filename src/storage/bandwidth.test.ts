import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { bandwidth, TokenBucket } from './bandwidth.ts';
import { codeOf, describeBackend, handleFor } from './conformance.ts';
import { MemoryBackend } from './memory/memory-backend.ts';
import { JumpingClock } from './test-support.ts';

describeBackend('bandwidth', async () => {
  const inner = new MemoryBackend();
  const limits = { uploadLimit: () => 1000, downloadLimit: () => 1000 };
  return {
    backend: bandwidth(inner, { clock: new JumpingClock(), ...limits }),
    other: inner,
    dispose: async () => {},
  };
});

test.each([
  ['upload', { uploadLimit: () => 1000 }, 10],
  ['download', { downloadLimit: () => 2000 }, 5],
  ['nothing', { uploadLimit: () => undefined }, 0],
])('limits %s', async (_, limits, seconds) => {
  const clock = new JumpingClock();
  const backend = bandwidth(new MemoryBackend(), { clock, ...limits });
  const startMs = clock.nowMs;
  for (let i = 0; i < 10; i++) {
    await backend.put(handleFor('pack', `${i}`), [new Uint8Array(400), new Uint8Array(600)]);
  }
  for (let i = 0; i < 10; i++) await backend.get(handleFor('pack', `${i}`));
  const passedMs = clock.nowMs - startMs;
  expect(passedMs).toBeGreaterThanOrEqual(seconds * 1000 - 250);
  expect(passedMs).toBeLessThanOrEqual(seconds * 1000);
});

test('counts ranges by their size', async () => {
  const clock = new JumpingClock();
  const backend = bandwidth(new MemoryBackend(), { clock, downloadLimit: () => 100 });
  const handle = handleFor('pack', 'range');
  await backend.put(handle, [new Uint8Array(100_000)]);
  const startMs = clock.nowMs;
  for (let i = 0; i < 10; i++) await backend.get(handle, { start: i * 100, end: i * 100 + 50 });
  expect(clock.nowMs - startMs).toBeCloseTo(5000 - 250, 3);
});

test('hides the folder, so that nothing is read past the limit', () => {
  const inner = Object.assign(new MemoryBackend(), { localPath: '/srv/repository' });
  expect(bandwidth(inner, { clock: new JumpingClock() }).localPath).toBeUndefined();
});

test('stores nothing and takes nothing when cancelled while waiting', async () => {
  const clock = new JumpingClock();
  const inner = new MemoryBackend();
  const backend = bandwidth(inner, { clock, uploadLimit: () => 1 });
  const signal = AbortSignal.abort();
  const put = backend.put(handleFor('pack', 'x'), [new Uint8Array(1e9)], { signal });
  expect(await codeOf(put)).toBe('CANCELLED');
  expect(inner.files.size).toBe(0);
  const startMs = clock.nowMs;
  await backend.put(handleFor('pack', 'y'), [new Uint8Array(10)]);
  expect(clock.nowMs - startMs).toBeLessThanOrEqual(10_000);
});

test('never lets more pass than the limit and one burst, whatever is asked for', async () => {
  const sizes = fc.array(fc.record({ size: fc.nat(5000), idleMs: fc.nat(3000) }));
  await fc.assert(
    fc.asyncProperty(sizes, async (steps) => {
      const clock = new JumpingClock();
      const bucket = new TokenBucket(clock, () => 1000);
      const startMs = clock.nowMs;
      let total = 0;
      for (const { size, idleMs } of steps) {
        clock.nowMs += idleMs;
        await bucket.take(size);
        total += size;
        expect(total).toBeLessThanOrEqual(clock.nowMs - startMs + 250 + 1e-3);
      }
    }),
    { numRuns: 50 },
  );
});

test('goes on at the rate of each time, also for who waits', async () => {
  const clock = new JumpingClock();
  const startMs = clock.nowMs;
  // Ten minutes at 10 bytes/s, ten at 1000, and no limit after that.
  const rateAt = (wallMs: number): number | undefined =>
    wallMs < startMs + 600_000 ? 10 : wallMs < startMs + 1_200_000 ? 1000 : undefined;
  const bucket = new TokenBucket(clock, rateAt);
  await bucket.take(306_000);
  expect(clock.nowMs - startMs).toBeGreaterThan(890_000);
  expect(clock.nowMs - startMs).toBeLessThan(960_000);
  await bucket.take(1e12);
  expect(clock.nowMs - startMs).toBeLessThan(1_270_000);
});
