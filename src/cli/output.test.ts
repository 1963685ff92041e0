import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../base/errors.ts';
import { printNote, reportProblem } from './cli-monitor.ts';
import { Output, type Sink } from './output.ts';

class Memory implements Sink {
  readonly isTerminal: boolean;
  readonly columns = 80;
  text = '';

  constructor(isTerminal = false) {
    this.isTerminal = isTerminal;
  }

  write(text: string | Uint8Array): void {
    this.text += Buffer.from(text).toString();
  }

  async writeAll(bytes: Uint8Array): Promise<void> {
    this.write(bytes);
  }
}

function create(
  isJson: boolean,
  verbosity = 1,
): { output: Output; stdout: Memory; stderr: Memory } {
  const [stdout, stderr] = [new Memory(), new Memory()];
  const output = new Output({ stdout, stderr });
  output.isJson = isJson;
  output.verbosity = verbosity;
  return { output, stdout, stderr };
}

describe('fatal', () => {
  const error = new HoldfastError('REPOSITORY_LOCKED', { details: { id: 'abc' }, hint: 'Wait.' });

  test('tells what is wrong and what to do', () => {
    const { output, stderr } = create(false);
    expect(output.fatal(error)).toBe(11);
    expect(stderr.text).toBe('Fatal: the repository is locked (id: abc)\nWait.\n');
  });

  test('is one document with --json', () => {
    const { output, stderr } = create(true);
    expect(output.fatal(error)).toBe(11);
    expect(JSON.parse(stderr.text)).toEqual({
      message_type: 'exit_error',
      code: 11,
      message: 'Fatal: the repository is locked (id: abc)',
    });
  });

  test('shows no stack of what was not expected', () => {
    const { output, stderr } = create(false);
    expect(output.fatal(new TypeError('x is\nnot a function'))).toBe(1);
    expect(stderr.text.split('\n')).toEqual([
      'Fatal: unexpected error: x is not a function',
      'This is a defect in Holdfast: please report it.',
      '',
    ]);
    expect(output.fatal('thrown text')).toBe(1);
  });
});

test('messages depend on how much is asked for', () => {
  for (const [verbosity, expected] of [
    [0, 'line\n'],
    [1, 'line\ninfo\n'],
    [2, 'line\ninfo\nverbose\n'],
  ] as const) {
    const { output, stdout } = create(false, verbosity);
    output.line('line');
    output.info('info');
    output.verbose('verbose');
    expect(stdout.text).toBe(expected);
  }
  const { output, stdout } = create(true, 3);
  output.info('info');
  output.json({ a: 1 });
  expect(stdout.text).toBe('{"a":1}\n');
});

test('a bulk writer keeps order and loses nothing', () => {
  const { output, stdout } = create(false);
  const lines = output.bulk();
  let expected = '';
  for (let i = 0; i < 20_000; i++) {
    lines.line(`line ${i}`);
    expected += `line ${i}\n`;
  }
  expect(stdout.text.length).toBeGreaterThan(0);
  expect(expected.startsWith(stdout.text)).toBe(true);
  lines.end();
  expect(stdout.text).toBe(expected);
});

describe('what comes from outside', () => {
  const name = 'x\u001b[2J\u009b31m\u202e';
  const shown = String.raw`x\x1b[2J\x9b31m\u202e`;

  test('drives no terminal, and nothing that standard error may be', () => {
    for (const isTerminal of [false, true]) {
      const stdout = new Memory(isTerminal);
      const stderr = new Memory(isTerminal);
      const output = new Output({ stdout, stderr });
      output.info(name);
      output.errorLine(name);
      output.exitError(1, name, name);
      const bulk = output.bulk();
      bulk.line(name);
      bulk.end();
      expect(stderr.text).toBe(`${shown}\n`.repeat(3));
      expect(stdout.text).toBe(`${isTerminal ? shown : name}\n`.repeat(2));
    }
  });

  test('stays what it is in JSON', () => {
    const stdout = new Memory(true);
    const output = new Output({ stdout, stderr: new Memory(true) });
    output.json({ name });
    expect(stdout.text).not.toMatch(/[\u009b\u202e]/);
    expect(JSON.parse(stdout.text)).toEqual({ name });
  });

  test('forges no line as the name of an item or in a remark', () => {
    const { output, stderr } = create(false);
    const error = new HoldfastError('SOURCE_FAILED', { message: 'a\nFatal: b' });
    reportProblem(output, { item: '/x\nFatal: y', during: 'scan', error });
    printNote(output, 'z\nFatal: c');
    expect(stderr.text.split('\n')).toHaveLength(3);
    expect(stderr.text).not.toMatch(/^Fatal/m);
  });
});
