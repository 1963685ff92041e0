import { workerData } from 'node:worker_threads';
import { toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import { systemRandom } from '../../base/random.ts';
import { Sealer } from '../../kernels/seal.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { serveWorker } from '../../kernels/worker-serve.ts';
import { Compressor } from '../../kernels/zstd.ts';
import { closeFile, openFile, readAt } from '../../platform/file-calls.ts';
import type { Id } from '../../repository/id.ts';
import { decodeSnapshot, type Snapshot } from '../../repository/snapshots.ts';
import { openDocument } from '../../repository/unpacked.ts';
import type { SnapshotRequest, SnapshotResponse, SnapshotWorkerData } from './messages.ts';

/** A larger one is left to the usual way. */
const fileSizeBytesMax = 256 << 10;

const { masterKey, version, folder } = workerData as SnapshotWorkerData;
const buffer = new Uint8Array(fileSizeBytesMax);
const tools = {
  version,
  sealer: new Sealer(masterKey, systemRandom),
  compressor: () => new Compressor('auto'),
};

serveWorker<SnapshotRequest, SnapshotResponse>(({ ids }) => ids.map(read));

function read(id: Id): Snapshot | undefined {
  try {
    const file = openFile(Buffer.from(`${folder}/${id}`), { nonBlocking: true });
    let sizeBytes = 0;
    try {
      for (let count = -1; count !== 0; sizeBytes += count) {
        if (sizeBytes === fileSizeBytesMax) return undefined;
        count = readAt(file, buffer.subarray(sizeBytes));
      }
    } finally {
      closeFile(file);
    }
    const sealed = buffer.subarray(0, sizeBytes);
    if (toHex(sha256(sealed)) !== id) return undefined;
    return decodeSnapshot(openDocument(tools, 'snapshot', sealed));
  } catch (error) {
    // The usual way meets it again, and has the words for it.
    if (isHoldfastError(error) && error.code !== 'ASSERTION_FAILED') return undefined;
    throw error;
  }
}
