import { type MessagePort, workerData } from 'node:worker_threads';
import { isHoldfastError } from '../base/errors.ts';
import { listDirectory, openDirectory, scanNames, sortNames } from './directory.ts';
import { closeFile, readLinkAt } from './files.ts';
import { packScans, type ScannedDirectory } from './packed-scan.ts';
import type { ScanAheadRequest, ScanWorkerData } from './scan-ahead.ts';
import { readStatusOf } from './status.ts';

/** Larger directories are left to the caller, who takes them in parts. */
const entriesMax = 8192;

const { port }: { readonly port: MessagePort } = workerData as ScanWorkerData;

/** Undefined for a directory about which there is something to say: the caller reads it and says so. */
function tryScan(path: Uint8Array, noFollow: boolean): ScannedDirectory | undefined {
  try {
    const directory = openDirectory(path, { noFollow });
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
  const names = listDirectory(directory);
  if (names.length > entriesMax) return undefined;
  let isOrdinary = true;
  const entries = scanNames(directory, sortNames(names), {
    extendedAttributes: true,
    onVanished: () => (isOrdinary = false),
    onAttributeProblem: () => (isOrdinary = false),
  });
  if (!isOrdinary) return undefined;
  const linkTargets = new Map<number, Uint8Array<ArrayBuffer>>();
  for (const [index, { name, status: ofEntry }] of entries.entries()) {
    if (!isHoldfastError(ofEntry) && ofEntry.kind === 'symlink') {
      linkTargets.set(index, readLinkAt(directory, name));
    }
  }
  return { status, entries, linkTargets };
}

port.on('message', ({ paths, ends, noFollow }: ScanAheadRequest) => {
  let start = 0;
  const scans = ends.map((end, i) => {
    const path = paths.subarray(start, end);
    start = end;
    return tryScan(path, noFollow[i] ?? true);
  });
  const packed = packScans(scans);
  port.postMessage(packed, [packed.numbers.buffer, packed.names.buffer]);
});
