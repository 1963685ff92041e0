import { workerData } from 'node:worker_threads';
import { systemRandom } from '../../base/random.ts';
import { serveWorker } from '../../kernels/worker-serve.ts';
import { Sealer } from '../../kernels/seal.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { compareFile } from './compare.ts';
import type { RestoreRequest, RestoreResponse, RestoreWorkerData } from './messages.ts';
import { PartWriter } from './part-writer.ts';

const data = workerData as RestoreWorkerData;
const index = BlobIndex.attach(data.index);
const writer = new PartWriter(index, new Sealer(data.masterKey, systemRandom));

serveWorker<RestoreRequest, RestoreResponse>((request) => {
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
});
