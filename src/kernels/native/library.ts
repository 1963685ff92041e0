import { createRequire } from 'node:module';
import { assert } from '../../base/assert.ts';
import { noteNativeLibrary } from '../../base/native-library.ts';

/** An address in this process. */
export type NativePointer = bigint;

/** What a bound function takes: typed arrays are passed by address, without a copy. */
export type NativeArgument = Uint8Array | Int32Array | NativePointer | number | string | null;

/** Results of type `size_t` come as number up to 2^53 - 1 and as bigint above. */
export type NativeFunction = (...values: NativeArgument[]) => number | bigint | null;

/** The running program as a library of C functions. */
export interface NativeProgram {
  /**
   * Binds one exported function. Types are koffi's names: sizes are `size_t`, all pointers `void *`.
   * @throws if the program does not export it
   */
  func(name: string, result: string, parameters: readonly string[]): NativeFunction;
}

/**
 * Calls `bind` with the running program: Node carries zstd and OpenSSL and exports their symbols for its
 * addons. A call costs about 0.3 microseconds, a tenth of what the wrappers in `node:crypto` and
 * `node:zlib` need for small inputs.
 *
 * The C side believes every length it is told: callers pass whole views together with `length` of the same view, having
 * checked it against what the function reads and writes. A detached view has length 0.
 *
 * @returns what `bind` returns; undefined if koffi does not load here or a symbol is missing
 */
export function bindNative<Bound>(bind: (program: NativeProgram) => Bound): Bound | undefined {
  try {
    const require = createRequire(import.meta.url);
    const koffi: { load(path: null): NativeProgram } = require('koffi');
    noteNativeLibrary();
    return bind(koffi.load(null));
  } catch {
    // No prebuilt koffi for this platform, or a Node that links its libraries otherwise: the portable path serves.
    return undefined;
  }
}

/** A pointer that a function returned. @throws ASSERTION_FAILED if it is null */
export function pointerFrom(value: number | bigint | null, what: string): NativePointer {
  assert(value !== null && BigInt(value) !== 0n, `${what} is allocated`);
  return BigInt(value);
}

/** Runs `release` when this thread ends: memory of the C libraries outlives worker threads otherwise. */
export function releaseAtExit(release: () => unknown): void {
  process.once('exit', release);
}
