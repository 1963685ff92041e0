import { releaseBuffer } from '../../base/release.ts';
import { Sealer } from '../../kernels/seal.ts';
import { serveWorker } from '../../kernels/worker-serve.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import type { CheckWorkerData, PackCheck, PackFindings } from './messages.ts';
import { PackOrder } from './pack-order.ts';
import { PackReader } from './pack-reader.ts';

serveWorker<CheckWorkerData, PackCheck, PackFindings>(import.meta.url, ({ data, random }) => {
  const reader = new PackReader(
    BlobIndex.attach(data.index),
    new PackOrder(data.entriesByPack, data.packStarts),
    new Sealer(data.masterKey, random),
  );
  return (request) => {
    try {
      return reader.check(request.pack, request.bytes);
    } finally {
      releaseBuffer(request.bytes.buffer);
    }
  };
});
