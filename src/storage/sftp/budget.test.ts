import { expect, test } from 'vitest';

import { Budget } from './budget.ts';

test('starts requests in the order of their calls, as many as there may be', () => {
  const budget = new Budget({ requests: 2, bytes: 100 });
  const started: string[] = [];
  const take = (name: string, sizeBytes: number): void =>
    budget.take(sizeBytes, () => started.push(name));
  take('a', 0);
  take('b', 0);
  take('c', 0);
  expect(started).toEqual(['a', 'b']);
  budget.give(0);
  expect(started).toEqual(['a', 'b', 'c']);
});

test('lets one that is larger than all go, and holds what comes behind it', () => {
  const budget = new Budget({ requests: 10, bytes: 100 });
  const started: string[] = [];
  budget.take(1000, () => started.push('large'));
  budget.take(1, () => started.push('small'));
  budget.take(0, () => started.push('none'));
  expect(started).toEqual(['large']);
  budget.give(1000);
  expect(started).toEqual(['large', 'small', 'none']);
});
