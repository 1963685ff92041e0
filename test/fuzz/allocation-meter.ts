/**
 * Counts the bytes that code asks for in typed arrays by a length, which is how a hostile length becomes a hostile
 * allocation. Exact, unlike looking at the memory of the process. Copies of what exists already are not counted.
 *
 * Install it before anything that is to be watched is loaded: a module that keeps the class itself goes past it.
 */
export class AllocationMeter {
  allocatedBytes = 0;

  install(): void {
    for (const name of ['Uint8Array', 'Uint32Array', 'Int32Array', 'ArrayBuffer'] as const) {
      const original: object = globalThis[name];
      const watched = new Proxy(original, {
        construct: (target, args: unknown[], newTarget): object => {
          const [length] = args;
          if (typeof length === 'number' && length > 0) {
            this.allocatedBytes += length * (name.includes('32') ? 4 : 1);
          }
          const kept = newTarget === watched ? target : newTarget;
          return Reflect.construct(target as new () => object, args, kept as new () => object);
        },
      });
      Object.defineProperty(globalThis, name, { value: watched });
    }
  }

  reset(): void {
    this.allocatedBytes = 0;
  }
}
