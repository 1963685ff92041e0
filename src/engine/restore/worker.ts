import { serveWorker } from '../../kernels/worker-serve.ts';
import { Sealer } from '../../kernels/seal.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { compareFile } from './compare.ts';
import type {
  RestoreEvent,
  RestoreRequest,
  RestoreResponse,
  RestoreWorkerData,
} from './messages.ts';
import { PartWriter } from './part-writer.ts';
import { StopFlag } from './stop-flag.ts';

serveWorker<RestoreWorkerData, RestoreRequest, RestoreResponse, RestoreEvent>(
  import.meta.url,
  ({ data, random }) => {
    const index = BlobIndex.attach(data.index);
    const stop = new StopFlag(data.stop);
    const writer = new PartWriter(index, new Sealer(data.masterKey, random), stop);
    return (request, reply) => {
      switch (request.type) {
        case 'part':
          return writer.writePart(request, (event) => reply.event(event)) ?? { type: 'unread' };
        case 'plain':
          return writer.writePlain(request);
        case 'finish':
          return writer.finish(request);
        case 'metadata':
          return writer.setMetadata(request);
        case 'compare': {
          const files = request.files.map((file) => compareFile(index, file, stop));
          return { type: 'compared', files };
        }
      }
    };
  },
);
