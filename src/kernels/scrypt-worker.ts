import { type LaneCost, mixLanes } from './scrypt-lanes.ts';
import { serveWorker } from './worker-serve.ts';

/** Blocks to mix; the answer is the mixed blocks. */
export interface MixRequest {
  readonly type: 'mix';
  readonly blocks: Uint8Array;
  readonly cost: LaneCost;
}

serveWorker<undefined, MixRequest, Uint8Array>(import.meta.url, () => ({ blocks, cost }) => {
  mixLanes(blocks, cost);
  return blocks;
});
