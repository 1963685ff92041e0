import { endsWork } from '../base/errors.ts';
import { toHex } from '../base/bytes.ts';
import { Sealer } from '../kernels/seal.ts';
import { sha256 } from '../kernels/sha256.ts';
import { serveWorker } from '../kernels/worker-serve.ts';
import { Compressor } from '../kernels/zstd.ts';
import { closeFile, openFile, readAt } from '../platform/file-calls.ts';
import type { Id } from './id.ts';
import { decodeSnapshot, type Snapshot } from './snapshot-codec.ts';
import { openDocument, type UnpackedTools } from './unpacked.ts';
import type { SnapshotRequest, SnapshotResponse, SnapshotWorkerData } from './snapshot-messages.ts';

/** A larger one is left to the usual way. */
const fileSizeBytesMax = 256 << 10;

serveWorker<SnapshotWorkerData, SnapshotRequest, SnapshotResponse>(
  import.meta.url,
  ({ data, random }) => {
    const { masterKey, version, folder } = data;
    const buffer = new Uint8Array(fileSizeBytesMax);
    const sealer = new Sealer(masterKey, random);
    const tools = { version, sealer, compressor: () => new Compressor('auto') };
    return ({ ids }) => ids.map((id) => read(id, { folder, buffer, tools }));
  },
);

interface ReadParts {
  readonly folder: string;
  readonly buffer: Uint8Array;
  readonly tools: UnpackedTools;
}

function read(id: Id, { folder, buffer, tools }: ReadParts): Snapshot | undefined {
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
    if (endsWork(error)) throw error;
    return undefined;
  }
}
