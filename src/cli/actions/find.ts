import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { EngineContext } from '../../engine/context.ts';
import { type PathMatcher, PathFinder } from '../../engine/find.ts';
import {
  blobsOfPacks,
  findObjects,
  type FoundObject,
  IdSet,
  type ObjectQuery,
} from '../../engine/find-objects.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { byteTextOf } from '../../sources/files/byte-text.ts';
import { PatternList, type PatternState } from '../../sources/files/patterns.ts';
import type { Invocation } from '../command.ts';
import type { FindFlags } from '../commands/find.ts';
import { FoundObjectPrinter, FoundPathPrinter } from '../find-output.ts';
import { usage } from '../parse.ts';
import { rawArguments } from '../raw-arguments.ts';
import { parsePersonTime } from '../parse-time.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

type FindInvocation = Invocation<FindFlags>;

/** A search that is about to go through snapshots. */
interface Search {
  readonly indexed: IndexedRepository;
  /** In the order in which they are searched. */
  readonly snapshots: readonly StoredSnapshot[];
  readonly context: EngineContext;
}

/** `holdfast find`. */
export function find(invocation: FindInvocation): Promise<number> {
  const { flags, environment, output } = invocation;
  const kinds = [flags.blob, flags.tree, flags.pack].filter(Boolean);
  if (kinds.length > 1) throw usage('only one of --blob, --tree and --pack can be given');
  const isForObjects = kinds.length > 0;
  if (flags.showPackId && !flags.blob && !flags.tree) {
    throw usage('--show-pack-id needs --blob or --tree');
  }
  const searchIn = isForObjects ? objectSearch(invocation) : pathSearch(invocation);
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const choice = { ids: flags.snapshots, filter: filterOf(flags) };
    const snapshots = await selectSnapshots(session, choice, output);
    const ordered = flags.reverse ? snapshots : snapshots.toReversed();
    const indexed = await session.loadIndex();
    const { signal, monitor } = session;
    await searchIn({ indexed, snapshots: ordered, context: { environment, signal, monitor } });
    return session.exitCode();
  });
}

function pathSearch(invocation: FindInvocation): (search: Search) => Promise<void> {
  const { flags } = invocation;
  const query = {
    matcher: matcherOf(rawArguments(invocation.arguments), flags.ignoreCase),
    oldest: flags.oldest === undefined ? undefined : parsePersonTime(flags.oldest, '--oldest'),
    newest: flags.newest === undefined ? undefined : parsePersonTime(flags.newest, '--newest'),
  };
  return async ({ indexed, snapshots, context }) => {
    const printer = new FoundPathPrinter(invocation.output, flags);
    const finder = new PathFinder(indexed, query);
    try {
      for (const snapshot of snapshots) {
        printer.begin(snapshot);
        await finder.search(treeOf(snapshot), (item) => printer.match(item), context);
        printer.endSnapshot();
      }
    } finally {
      printer.end();
    }
  };
}

function matcherOf(
  patterns: readonly (string | Uint8Array)[],
  ignoreCase: boolean,
): PathMatcher<PatternState> {
  const list = PatternList.parse(patterns, { ignoreCase });
  return {
    root: list.root,
    step: (state, name) => list.descend(state, byteTextOf(name)),
    isMatched: (state) => list.isMatched(state),
    mayMatchBelow: (state) => list.childMayMatch(state),
  };
}

function objectSearch(invocation: FindInvocation): (search: Search) => Promise<void> {
  const { flags, output } = invocation;
  return async ({ indexed, snapshots, context }) => {
    const ids = await objectQuery(invocation, indexed, context);
    const printer = new FoundObjectPrinter(output);
    const shown = new Set<string>();
    try {
      for (const snapshot of snapshots) {
        const onFound = (found: FoundObject): void => {
          printer.found(found, snapshot);
          shown.add(`${found.type === 'blob' ? 'data' : 'tree'} ${found.id}`);
        };
        await findObjects(indexed, treeOf(snapshot), { ids, onFound }, context);
      }
    } finally {
      printer.end();
    }
    if (flags.showPackId) printPacks(invocation, indexed, shown);
  };
}

async function objectQuery(
  { flags, arguments: ids }: FindInvocation,
  indexed: IndexedRepository,
  context: EngineContext,
): Promise<ObjectQuery> {
  const none = new IdSet([]);
  if (flags.blob) return { blobs: new IdSet(ids), trees: none };
  if (flags.tree) return { blobs: none, trees: new IdSet(ids) };
  const contents = await blobsOfPacks(indexed, ids, context);
  if (contents.missing.length > 0) {
    throw new HoldfastError('FILE_NOT_FOUND', {
      message: `unable to find packs: ${contents.missing.join(', ')}`,
    });
  }
  return contents;
}

function printPacks(
  { output }: FindInvocation,
  { index }: IndexedRepository,
  shown: ReadonlySet<string>,
): void {
  if (output.isJson) return;
  for (const key of shown) {
    const [type, id = ''] = key.split(' ');
    const blobType = type === 'tree' ? 'tree' : 'data';
    for (const entry of index.findAll(blobType, idBytes(id))) {
      const pack = toHex(index.packId(index.packOf(entry)));
      const plain = index.uncompressedLengthOf(entry);
      const uncompressed = plain > 0 ? `, uncompressed length ${plain}` : '';
      const place = `offset ${index.offsetOf(entry)}, length ${index.lengthOf(entry)}`;
      output.line(`Object belongs to pack ${pack}`);
      output.line(
        ` ... Pack ${pack.slice(0, 8)}: <Blob (${blobType}) ${id.slice(0, 8)}, ${place}${uncompressed}>`,
      );
    }
  }
}

function treeOf(snapshot: StoredSnapshot): Uint8Array {
  return idBytes(snapshot.tree);
}
