import { serveWorker } from '../../kernels/worker-serve.ts';
import { Sealer } from '../../kernels/seal.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { compareFile } from './compare.ts';
import type { RestoreRequest, RestoreResponse, RestoreWorkerData } from './messages.ts';
import { PartWriter } from './part-writer.ts';

serveWorker<RestoreWorkerData, RestoreRequest, RestoreResponse>(
  import.meta.url,
  ({ data, random }) => {
    const index = BlobIndex.attach(data.index);
    const writer = new PartWriter(index, new Sealer(data.masterKey, random));
    return (request) => {
      switch (request.type) {
        case 'part':
          return writer.writePart(request) ?? { type: 'unread' };
        case 'plain':
          return writer.writePlain(request);
        case 'finish':
          return writer.finish(request);
        case 'metadata':
          return writer.setMetadata(request);
        case 'compare': {
          const files = request.files.map((file) => compareFile(index, file));
          return { type: 'compared', files };
        }
      }
    };
  },
);
