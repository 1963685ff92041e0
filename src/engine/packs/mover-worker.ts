import { serveWorker, type WorkerReply } from '../../kernels/worker-serve.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { packEvent } from './pack-event.ts';
import { PackSlots } from './pack-slots.ts';
import { BlobMover } from './blob-mover.ts';
import type { MoveRequest, MoveResponse, TransferWorkerData } from './mover-messages.ts';

serveWorker<TransferWorkerData, MoveRequest, MoveResponse>(import.meta.url, ({ data, random }) => {
  const slots = new PackSlots(data.slots);
  let reply: WorkerReply | undefined;
  const mover = new BlobMover(
    {
      source: BlobIndex.attach(data.source),
      target: BlobIndex.attach(data.target),
      settings: data.settings,
      random,
      takeBuffer: () => slots.take(),
      returnBuffer: (buffer) => slots.free(slots.slotOf(buffer)),
    },
    (pack, entries) => {
      const { event, transfer } = packEvent(pack, entries, slots);
      reply?.event(event, transfer);
    },
  );
  return (request, to) => {
    reply = to;
    return mover.answer(request);
  };
});
