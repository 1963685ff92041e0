import { type MessagePort, workerData } from 'node:worker_threads';
import { isHoldfastError } from '../base/errors.ts';
import { openDirectory, scanOrList, SortedNames } from './directory.ts';
import { closeFile, readLinkAt } from './files.ts';
import { packScans, type ScannedDirectory } from './packed-scan.ts';
import { claim, type ScanAheadRequest, type ScanWorkerData } from './scan-messages.ts';
import { readStatusOf } from './status.ts';

const { port }: { readonly port: MessagePort } = workerData as ScanWorkerData;

/** Undefined for a directory about which there is something to say: the caller reads it and says so. */
function tryScan(path: Uint8Array): ScannedDirectory | undefined {
  try {
    const directory = openDirectory(path);
    try {
      return scan(directory);
    } finally {
      closeFile(directory);
    }
  } catch (error) {
    if (isHoldfastError(error)) return undefined;
    throw error;
  }
}

function scan(directory: number): ScannedDirectory | undefined {
  const status = readStatusOf(directory);
  let isOrdinary = true;
  const onTrouble = (): void => {
    isOrdinary = false;
  };
  const entries = scanOrList(directory, {
    extendedAttributes: true,
    onVanished: onTrouble,
    onAttributeProblem: onTrouble,
  });
  // A large directory is taken in parts, by the caller.
  if (entries instanceof SortedNames || !isOrdinary) return undefined;
  const linkTargets = new Map<Uint8Array, Uint8Array<ArrayBuffer>>();
  for (const { name, status: ofEntry } of entries) {
    if (!isHoldfastError(ofEntry) && ofEntry.kind === 'symlink') {
      linkTargets.set(name, readLinkAt(directory, name));
    }
  }
  return { status, entries, linkTargets };
}

port.on('message', ({ paths, ends, claims }: ScanAheadRequest) => {
  let start = 0;
  const scans = ends.map((end, i) => {
    const path = paths.subarray(start, end);
    start = end;
    const isMine = Atomics.compareExchange(claims, i, claim.free, claim.thread) === claim.free;
    return isMine ? tryScan(path) : undefined;
  });
  const packed = packScans(scans);
  port.postMessage(packed, [packed.numbers.buffer, packed.names.buffer]);
});
