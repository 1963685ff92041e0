import { throwIfAborted } from '../../base/abort.ts';
import { concatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { defined } from '../../base/assert.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { goMode } from '../../repository/mode.ts';
import { bareNode, type TreeNode } from '../../repository/tree.ts';
import type { StreamSource } from '../../sources/source.ts';
import type { EngineContext } from '../context.ts';
import type { ChunksResponse } from './messages.ts';
import type { BackupMonitor, BackupOptions } from './options.ts';
import type { Pipeline } from './pipeline.ts';
import type { BackupReport } from './report.ts';
import { TreeBuilder } from './tree-builder.ts';
import { TreeFrame } from './tree-frame.ts';

/** Parts of a stream that may wait for the worker. */
const partsAheadMax = 8;
const slash = 0x2f;

/** What storing a stream works with. */
export interface StreamParts {
  readonly indexed: IndexedRepository;
  readonly pipeline: Pipeline;
  readonly report: BackupReport;
  readonly options: BackupOptions;
  readonly context: EngineContext<BackupMonitor>;
  /** Recorded as the time of the file. */
  readonly time: Timestamp;
}

/**
 * Stores the content of a stream as one file below made-up directories.
 *
 * @returns the root tree's id, once the producer has ended well
 * @throws COMMAND_FAILED, SOURCE_FAILED if it has not
 */
export async function storeStream(source: StreamSource, parts: StreamParts): Promise<Uint8Array> {
  const { pipeline, report, indexed } = parts;
  try {
    const { content, sizeBytes } = await storeContent(source, parts);
    await source.settled();
    if (sizeBytes === 0) {
      // A producer in front of a pipe that failed gives nothing, and cannot be asked.
      const message = 'it gave no data at all: did its producer fail?';
      const error = new HoldfastError('SOURCE_EMPTY', { message });
      report.problem(source.path, error, 'archival');
    }
    const names = splitPath(source.path);
    const fileName = defined(names.pop(), 'a stream has a file name');
    const trees = new TreeBuilder({ indexed, pipeline, report });
    let frame = new TreeFrame({});
    const frames = [frame];
    for (const name of names) {
      frame.pending++;
      const node = {
        ...baseNode(name, parts),
        type: 'dir',
        mode: goMode('dir', 0o755),
      } as const;
      frame = new TreeFrame({ parent: frame, slot: 0, node });
      frames.push(frame);
    }
    const mode = goMode('file', 0o644);
    const node: TreeNode = { ...baseNode(fileName, parts), type: 'file', mode, sizeBytes, content };
    report.counters.countFile('new', sizeBytes);
    frame.nodes[0] = node;
    for (const open of frames.toReversed()) trees.release(open);
    trees.flush();
    await pipeline.finish();
    report.progress();
    return defined(trees.root, 'the root tree of a stream is complete');
  } finally {
    await source.close();
  }
}

async function storeContent(
  source: StreamSource,
  { pipeline, report, context }: StreamParts,
): Promise<{ content: Uint8Array; sizeBytes: number }> {
  const responses: Promise<ChunksResponse>[] = [];
  const send = (bytes: Uint8Array<ArrayBuffer>, isLast: boolean): void => {
    const request = { type: 'stream', bytes, isFirst: responses.length === 0, isLast } as const;
    const response = pipeline.send(request, { worker: 0, transfer: [bytes.buffer] });
    response.catch(() => {});
    responses.push(response);
  };
  report.working(source.path);
  for await (const part of source.read()) {
    throwIfAborted(context.signal);
    // A copy: what the stream gave may be a view of a buffer that it shares.
    send(Uint8Array.from(part), false);
    await responses.at(-partsAheadMax);
    report.reading(part.byteLength);
    report.progress();
  }
  send(new Uint8Array(0), true);
  const done = await Promise.all(responses);
  for (const response of done) report.counters.add('data', response.added);
  const sizeBytes = done.reduce((sum, response) => sum + response.sizeBytes, 0);
  report.reading(-sizeBytes);
  return { content: concatBytes(done.map((response) => response.ids)), sizeBytes };
}

function baseNode(
  name: Uint8Array,
  { options, time }: StreamParts,
): Omit<TreeNode, 'type' | 'mode'> {
  const { uid, gid } = options;
  return { ...bareNode, name, mtime: time, atime: time, ctime: time, uid, gid };
}

function splitPath(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0; start <= path.byteLength; ) {
    const at = path.indexOf(slash, start);
    const end = at < 0 ? path.byteLength : at;
    if (end > start) names.push(path.subarray(start, end));
    start = end + 1;
  }
  return names;
}
