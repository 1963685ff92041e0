import { describe, expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { systemEnvironment } from '../../base/environment.ts';
import type { Progress } from '../../base/monitor.ts';
import { Output, type Sink } from '../output.ts';
import { Variables } from '../variables.ts';
import { ProgressView } from './progress-view.ts';

/** A clock that is moved by hand. */
class HandClock {
  nowMs = 0;
  readonly #timers: { intervalMs: number; nextMs: number; action: () => void }[] = [];

  readonly clock: Clock = {
    ...systemEnvironment.clock,
    monotonicMs: () => this.nowMs,
    every: (intervalMs, action) => {
      const timer = { intervalMs, nextMs: this.nowMs + intervalMs, action };
      this.#timers.push(timer);
      return { stop: () => void this.#timers.splice(this.#timers.indexOf(timer), 1) };
    },
  };

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.nextMs - b.nextMs)[0];
      if (!next || next.nextMs > endMs) break;
      this.nowMs = next.nextMs;
      next.nextMs += next.intervalMs;
      next.action();
    }
    this.nowMs = endMs;
  }
}

class TestSink implements Sink {
  readonly isTerminal: boolean;
  readonly columns = 80;
  text = '';
  writeCount = 0;

  constructor(isTerminal: boolean) {
    this.isTerminal = isTerminal;
  }

  write(text: string | Uint8Array): void {
    this.text += Buffer.from(text).toString();
    if (text.length > 0) this.writeCount++;
  }

  async writeAll(bytes: Uint8Array): Promise<void> {
    this.write(bytes);
  }
}

/** What stands on a terminal after these bytes, as far as this program uses one. */
function screen(text: string): string[] {
  const lines = [''];
  let row = 0;
  let column = 0;
  // oxlint-disable-next-line no-control-regex
  for (const [token] of text.matchAll(/\u001b\[(\d*)([AJ])|\r|\n|[^\u001b\r\n]+/g)) {
    if (token === '\r') column = 0;
    else if (token === '\n') {
      row++;
      column = 0;
      lines[row] ??= '';
    } else if (token.endsWith('A') && token.startsWith('\u001b'))
      row -= Number(token.slice(2, -1) || '1');
    else if (token === '\u001b[J') {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? '').slice(0, column);
    } else {
      lines[row] = (lines[row] ?? '').slice(0, column) + token;
      column += token.length;
    }
  }
  return lines;
}

function setUp(options: {
  isTerminal: boolean;
  isJson?: boolean;
  fps?: string;
  verbosity?: number;
  term?: string;
}) {
  const hand = new HandClock();
  const stdout = new TestSink(options.isTerminal);
  const stderr = new TestSink(options.isTerminal);
  const output = new Output({ stdout, stderr });
  output.isJson = options.isJson ?? false;
  output.verbosity = options.verbosity ?? 1;
  const variables = new Variables({ RESTIC_PROGRESS_FPS: options.fps, TERM: options.term });
  const environment = { ...systemEnvironment, clock: hand.clock };
  const view = new ProgressView<Progress>(
    { output, environment, variables },
    { unit: 'files', json: ({ filesDone }) => ({ message_type: 'status', files_done: filesDone }) },
  );
  return { hand, stdout, stderr, output, view };
}

const progress = (filesDone: number): Progress => ({
  filesDone,
  filesTotal: 10,
  bytesDone: 0,
  errorCount: 0,
  currentItems: ['/some/file'],
});

describe('on a terminal', () => {
  test('lines are redrawn in place, ten times a second at most', () => {
    const { hand, stdout, view } = setUp({ isTerminal: true, fps: '60' });
    for (let i = 0; i < 1000; i++) {
      view.update(progress(i % 10));
      hand.advance(1);
    }
    expect(stdout.writeCount).toBe(10);
    expect(screen(stdout.text)).toHaveLength(2);
    expect(screen(stdout.text)[1]).toBe('/some/file');
  });

  test('messages come above them', () => {
    const { hand, stdout, output, view } = setUp({ isTerminal: true });
    view.update(progress(5));
    hand.advance(100);
    output.info('first message');
    output.info('second message');
    const [first, second, bar, item] = screen(stdout.text);
    expect([first, second, item]).toEqual(['first message', 'second message', '/some/file']);
    expect(bar).toContain('5 / 10 files');
  });

  test('nothing of them stays', () => {
    const { hand, stdout, output, view } = setUp({ isTerminal: true });
    view.update(progress(5));
    hand.advance(500);
    view.stop();
    view.stop();
    hand.advance(500);
    output.info('the end');
    expect(screen(stdout.text)).toEqual(['the end', '']);
  });
});

test.each([
  ['a pipe', { isTerminal: false }],
  ['--quiet', { isTerminal: true, verbosity: 0 }],
  ['a terminal that can only write lines', { isTerminal: true, term: 'dumb' }],
])('%s shows nothing', (_, options) => {
  const { hand, stdout, view } = setUp(options);
  view.update(progress(5));
  hand.advance(5000);
  view.stop();
  expect(stdout.text).toBe('');
  expect(view.isShown).toBe(false);
});

test('--json gives status messages, as often as RESTIC_PROGRESS_FPS says', () => {
  const { hand, stdout, view } = setUp({ isTerminal: false, isJson: true, fps: '0.5' });
  hand.advance(2500);
  expect(stdout.text).toBe('');
  view.update(progress(3));
  hand.advance(4000);
  view.stop();
  expect(stdout.text).toBe('{"message_type":"status","files_done":3}\n'.repeat(2));
});

describe('who asks', () => {
  test.each([
    ['a pipe', { isTerminal: false }],
    ['--quiet', { isTerminal: true, verbosity: 0 }],
  ])('is told on %s', (_, options) => {
    const { hand, stdout, output, view } = setUp(options);
    output.askProgress();
    view.update({ ...progress(5), bytesDone: 1024 });
    hand.advance(2000);
    output.askProgress();
    const lines = stdout.text.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^\[0:02\] .*5 \/ 10 files {2}1\.000 KiB/);
    expect(lines[1]).toBe('/some/file');
    view.stop();
    output.askProgress();
    expect(stdout.text.split('\n')).toHaveLength(3);
  });

  test('with --json gets a status message', () => {
    const { stdout, output, view } = setUp({ isTerminal: false, isJson: true });
    view.update(progress(3));
    output.askProgress();
    expect(stdout.text).toBe('{"message_type":"status","files_done":3}\n');
  });
});
