import { expect, it } from 'vitest';
import { giveBackFreed } from './freed-memory.ts';

const isGlibc =
  process.platform === 'linux' &&
  'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header;

it('gives back what was freed, where the C library can', () => {
  // Too small to have pages of their own; every second one stays.
  const buffers = Array.from({ length: 2000 }, () => new Uint8Array(20_000).fill(1));
  for (const [i, { buffer }] of buffers.entries()) if (i % 2 === 0) buffer.transfer(0);
  expect(giveBackFreed()).toBe(isGlibc);
  expect(buffers.filter(({ byteLength }) => byteLength === 20_000)).toHaveLength(1000);
});
