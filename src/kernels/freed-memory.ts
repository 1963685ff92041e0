import { type NativeFunction, bindNative } from './native/library.ts';

let trim: NativeFunction | undefined;

/**
 * Has the C library give the system what was freed: it keeps up to 16 MiB for each thread. Takes some milliseconds.
 * @returns whether there was any; false also where the library has no such function, as musl
 */
export function giveBackFreed(): boolean {
  trim ??= bindNative((program) => program.func('malloc_trim', 'int', ['size_t'])) ?? (() => 0);
  return trim(0) === 1;
}
