import { bindNative } from './library.ts';

/** Fills `target`; false if it could not. */
export type NativeRandom = (target: Uint8Array) => boolean;

/**
 * The kernel's generator, `getrandom(2)`: 0.6 microseconds for 16 bytes against 3 through `node:crypto`, and no
 * state in this process, so neither a fork nor a copy of a running virtual machine can repeat its output
 * (Linux reseeds by VMGENID). Undefined where the function cannot be bound.
 */
export function bindNativeRandom(): NativeRandom | undefined {
  const getrandom = bindNative((program) =>
    program.func('getrandom', 'int64', ['void *', 'size_t', 'uint']),
  );
  if (getrandom === undefined) return undefined;
  return (target) => getrandom(target, target.length, 0) === target.length;
}
