import { toHex } from '../base/bytes.ts';
import { releaseBuffer } from '../base/release.ts';
import { Sealer } from '../kernels/seal.ts';
import { sha256 } from '../kernels/sha256.ts';
import { Compressor } from '../kernels/zstd.ts';
import { serveWorker } from '../kernels/worker-serve.ts';
import { BlobIndex } from './blob-index.ts';
import { DecodedIndex } from './index-decoded.ts';
import { decodeIndexInto } from './index-file.ts';
import type { IndexRequest, IndexResponse, IndexWorkerData } from './index-messages.ts';
import { openDocument } from './unpacked.ts';

serveWorker<IndexWorkerData, IndexRequest, IndexResponse>(import.meta.url, ({ data, random }) => {
  const { masterKey, share, version } = data;
  const index = BlobIndex.attach(share);
  const scratch = new DecodedIndex();
  const tools = {
    version,
    sealer: new Sealer(masterKey, random),
    compressor: () => new Compressor('auto'),
  };
  return ({ name, bytes }) => {
    if (toHex(sha256(bytes)) !== name) return { type: 'mismatch' };
    const json = openDocument(tools, 'index', bytes);
    const { hasMarks } = decodeIndexInto(json, index, { version, scratch });
    releaseBuffer(json.buffer);
    releaseBuffer(bytes.buffer);
    return { type: 'decoded', hasMarks };
  };
});
