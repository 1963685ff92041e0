import { assert } from '../base/assert.ts';

const pageSizeBytes = 65_536;

interface KernelMemory {
  readonly buffer: ArrayBuffer;
}

/** The part of the standard API that is used here: neither Node's types nor our libraries declare it. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { readonly initial: number }) => KernelMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: KernelMemory } },
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** A kernel with memory of its own. */
export interface Kernel {
  readonly buffer: ArrayBuffer;
  /** The exported function. Sizes and addresses are bytes; a WebAssembly u32 arrives as a signed number. */
  readonly call: (...values: number[]) => number;
}

const modules: Map<string, object> = new Map();

/**
 * Loads a kernel of assembly/, compiled once a thread.
 * @param base64 the module, as the build writes it
 * @param entry name of the exported function
 * @param sizeBytes of its memory, which starts with zeros
 */
export function loadKernel(base64: string, entry: string, sizeBytes: number): Kernel {
  const module = modules.get(base64) ?? new WebAssembly.Module(Buffer.from(base64, 'base64'));
  modules.set(base64, module);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / pageSizeBytes) });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const run = exports[entry];
  assert(typeof run === 'function', 'a kernel exports its entry');
  return { buffer: memory.buffer, call: (...values) => Number(run(...values)) };
}
