import { expect, test } from 'vitest';

import { systemClock as clock } from './clock.ts';
import { withGrace } from './grace.ts';

test('work that is interrupted has time to end', async () => {
  const stop = new AbortController();
  const work = async (late: AbortSignal | undefined): Promise<string> => {
    stop.abort();
    await clock.nextTurn();
    expect(late?.aborted).toBe(false);
    return 'done';
  };
  expect(await withGrace(work, { signal: stop.signal, clock, graceMs: 60_000 })).toBe('done');
});

test('work that does not end hears of it, with the reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const work = (late: AbortSignal | undefined): Promise<unknown> => {
    const heard = new Promise((resolve) => {
      late?.addEventListener('abort', () => resolve(late.reason), { once: true });
    });
    stop.abort(reason);
    return heard;
  };
  expect(await withGrace(work, { signal: stop.signal, clock, graceMs: 1 })).toBe(reason);
});

test('without a signal it is just done', async () => {
  const options = { signal: undefined, clock, graceMs: 1 };
  expect(await withGrace((late) => Promise.resolve(late), options)).toBeUndefined();
});
