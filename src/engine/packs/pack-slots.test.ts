import { expect, test } from 'vitest';
import { PackSlots } from './pack-slots.ts';

test('gives each slot once until it is freed', () => {
  const slots = PackSlots.create(2, 16);
  const first = slots.take();
  const second = new PackSlots(slots.share).take();
  expect(slots.slotOf(first)).toBe(0);
  expect(slots.slotOf(second)).toBe(1);
  slots.free(0);
  expect(slots.slotOf(slots.take())).toBe(0);
});

test('hands bytes over between threads', () => {
  const slots = PackSlots.create(1, 16);
  slots.take().set([1, 2, 3]);
  expect([...new PackSlots(slots.share).bytesOf(0, 3)]).toEqual([1, 2, 3]);
});

test('knows memory of its own, and refuses to free twice', () => {
  const slots = PackSlots.create(1, 16);
  expect(slots.slotOf(new Uint8Array(16))).toBe(-1);
  slots.take();
  slots.free(0);
  expect(() => slots.free(0)).toThrow('freed once');
});
