/**
 * The file that a thread or a process starts from: it stands beside the module that names it, as TypeScript or built.
 * The bundler and the tidy test look for calls of this function.
 * @param name such as `./worker.ts`
 * @param importer `import.meta.url` of the module
 */
export function workerModule(name: `./${string}.ts`, importer: string): URL {
  return new URL(importer.endsWith('.ts') ? name : name.replace(/\.ts$/, '.js'), importer);
}

/** Threads that can be of use here: two at least, so that one computes while the other waits. */
export function usefulThreadCount(): number {
  return Math.max(2, globalThis.navigator.hardwareConcurrency);
}
