import { Sealer } from '../../kernels/seal.ts';
import { serveWorker } from '../../kernels/worker-serve.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import type { CheckWorkerData, PackCheck, PackFindings, PackUnread } from './messages.ts';
import { PackOrder } from '../packs/pack-order.ts';
import { PackReader } from './pack-reader.ts';

serveWorker<CheckWorkerData, PackCheck, PackFindings | PackUnread>(
  import.meta.url,
  ({ data, random }) => {
    const reader = new PackReader(
      BlobIndex.attach(data.index),
      new PackOrder(data.entriesByPack, data.packStarts),
      new Sealer(data.masterKey, random),
    );
    return ({ pack, content }) => reader.check(pack, content) ?? { type: 'unread' };
  },
);
