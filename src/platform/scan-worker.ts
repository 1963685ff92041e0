import { type MessagePort, workerData } from 'node:worker_threads';
import { isHoldfastError } from '../base/errors.ts';
import { openDirectory, packDirectory } from './directory.ts';
import { closeFile } from './files.ts';
import { ScanPacker } from './packed-scan.ts';
import { claim, type ScanAheadRequest, type ScanWorkerData } from './scan-messages.ts';
import { readStatusOf } from './status.ts';

const { port }: { readonly port: MessagePort } = workerData as ScanWorkerData;
const packer = new ScanPacker();

/** False for a directory about which there is something to say: the caller reads it and says so. */
function tryPack(path: Uint8Array): boolean {
  try {
    const directory = openDirectory(path);
    try {
      return packer.begin(readStatusOf(directory)) && packDirectory(directory, packer);
    } finally {
      closeFile(directory);
    }
  } catch (error) {
    if (isHoldfastError(error)) return false;
    throw error;
  }
}

port.on('message', ({ paths, ends, claims }: ScanAheadRequest) => {
  let start = 0;
  for (const [i, end] of ends.entries()) {
    const path = paths.subarray(start, end);
    start = end;
    const isMine = Atomics.compareExchange(claims, i, claim.free, claim.thread) === claim.free;
    if (isMine && tryPack(path)) packer.end();
    else packer.drop();
  }
  const packed = packer.finish();
  port.postMessage(packed, [packed.numbers.buffer, packed.names.buffer]);
});
