import { setFlagsFromString } from 'node:v8';

const flag = '--max-semi-space-size';

/**
 * Gives threads that start from now on so much room for new objects: where it is full, those that are still in use are
 * copied. Threads that make millions of short-lived ones take all of it, and gain nothing by more.
 *
 * By a flag of the engine: the one that the program is started with goes before what a worker's `resourceLimits` say.
 * @param sizeMiB of either half
 * @returns what ends it
 */
export function limitYoungHeap(sizeMiB: number): () => void {
  setFlagsFromString(`${flag}=${sizeMiB}`);
  const own = process.execArgv.find((argument) => argument.startsWith(`${flag}=`));
  // 0 is the engine's own size.
  return () => setFlagsFromString(own ?? `${flag}=0`);
}
