import { describe, expect, it } from 'vitest';
import { HoldfastError } from './errors.ts';
import { deserializeError, serializeError } from './serialized-errors.ts';

function across(error: unknown): HoldfastError {
  return deserializeError(structuredClone(serializeError(error)));
}

describe('worker errors', () => {
  it('keeps all of a HoldfastError', () => {
    const original = new HoldfastError('LOCK_LOST', {
      message: 'text',
      details: { a: 1, b: 2n, c: undefined, d: true, e: 'x' },
      hint: 'hint',
      cause: new HoldfastError('BACKEND_UNAVAILABLE', { cause: new Error('down') }),
    });
    const copy = across(original);
    expect(copy).toBeInstanceOf(HoldfastError);
    expect(copy).toMatchObject({
      name: 'HoldfastError',
      code: 'LOCK_LOST',
      message: 'text',
      hint: 'hint',
      stack: original.stack,
      cause: { code: 'BACKEND_UNAVAILABLE', cause: { message: 'down' } },
    });
    expect(copy.details).toEqual(original.details);
    expect(copy.row).toBe(original.row);
  });

  it('keeps the hint of the table, and its absence', () => {
    expect(across(new HoldfastError('PACK_DAMAGED')).hint).toBe(
      'Run "holdfast check --read-data".',
    );
    expect(across(new HoldfastError('SEAL_BROKEN')).hint).toBeUndefined();
  });

  it('wraps what is not ours', () => {
    const system = Object.assign(new TypeError('no file'), { code: 'ENOENT' });
    expect(across(system)).toMatchObject({
      code: 'WORKER_FAILED',
      cause: { name: 'TypeError', message: 'no file', code: 'ENOENT' },
    });
    expect(across('text').cause).toMatchObject({ message: 'text' });
    expect(across(undefined).cause).toMatchObject({ message: 'undefined' });
    const silent: unknown = Object.create(null);
    expect(across(silent).cause).toMatchObject({ message: 'a value without text' });
  });

  it('cuts endless chains of causes', () => {
    const error = new Error('round');
    error.cause = error;
    let depth = 0;
    for (let at: unknown = across(error).cause; at instanceof Error; at = at.cause) depth++;
    expect(depth).toBe(8);
  });

  it('survives a code of another version', () => {
    const serialized = JSON.parse('{"code":"NEW_CODE","name":"HoldfastError","message":"new"}');
    expect(deserializeError(serialized)).toMatchObject({ code: 'WORKER_FAILED', message: 'new' });
  });
});
