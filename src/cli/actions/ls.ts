import { walkTree, type TreeVisitor, type WalkedNode } from '../../engine/trees/walk-paths.ts';
import { findTree, splitSnapshotPath } from '../../engine/trees/snapshot-path.ts';
import { JsonWriter } from '../../repository/json.ts';
import { shortId } from '../../repository/id.ts';
import type { ResolvedSnapshot, StoredSnapshot } from '../../repository/snapshots.ts';
import type { Invocation } from '../command.ts';
import type { LsFlags } from '../commands/ls.ts';
import { formatStoredTime } from '../format.ts';
import { LsFilter } from '../ls-filter.ts';
import { NcduWriter } from '../ncdu.ts';
import { formatLongHead } from '../node-format.ts';
import { writeListedNode } from '../node-json.ts';
import type { BulkWriter } from '../output.ts';
import { usage } from '../parse.ts';
import { pathLine, safeText } from '../safe-text.ts';
import { rawArguments } from '../raw-arguments.ts';
import { filterOf, selectSnapshot } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';
import { snapshotJson, snapshotRecordJson } from '../snapshot-json.ts';
import { sortNodes } from '../sort-nodes.ts';

type LsInvocation = Invocation<LsFlags>;

/** `holdfast ls`. */
export function ls(invocation: LsInvocation): Promise<number> {
  const { flags, output } = invocation;
  const [snapshotId, ...folders] = invocation.arguments;
  if (snapshotId === undefined) {
    throw usage('no snapshot ID specified', 'Name a snapshot, or use the special ID "latest".');
  }
  if (folders.some((folder) => !folder.startsWith('/'))) {
    throw usage("all path filters must be absolute, starting with a forward slash '/'");
  }
  const isSorted = flags.reverse || (flags.sort !== undefined && flags.sort !== 'name');
  if (flags.ncdu && isSorted) throw usage('--ncdu cannot be combined with --sort or --reverse');
  if (flags.ncdu && output.isJson) throw usage('--ncdu and --json cannot be given together');
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const chosen = await selectSnapshot(session, snapshotId, filterOf(flags));
    const filter = new LsFilter(rawArguments(folders).map(partsOf), flags.recursive);
    if (flags.ncdu) await printNcdu(invocation, session, { chosen, filter });
    else await printList(invocation, session, { chosen, filter, folders });
    return session.exitCode();
  });
}

interface Listing {
  readonly chosen: ResolvedSnapshot;
  readonly filter: LsFilter;
}

async function walk(
  invocation: LsInvocation,
  session: Session,
  how: {
    readonly chosen: ResolvedSnapshot;
    readonly visitor: TreeVisitor;
    readonly begin: () => void;
  },
): Promise<void> {
  const { environment } = invocation;
  const { signal, monitor } = session;
  const indexed = await session.loadIndex();
  const tree = await findTree(indexed, how.chosen, { signal });
  how.begin();
  await walkTree(indexed, tree, how.visitor, { environment, signal, monitor });
}

async function printList(
  invocation: LsInvocation,
  session: Session,
  listing: Listing & { readonly folders: readonly string[] },
): Promise<void> {
  const { flags, output } = invocation;
  const { chosen, filter, folders } = listing;
  const lines = output.bulk();
  const print = output.isJson ? jsonPrinter(lines) : textPrinter(invocation, lines);
  const isSorted = flags.reverse || (flags.sort !== undefined && flags.sort !== 'name');
  const kept: WalkedNode[] = [];
  const visitor: TreeVisitor = {
    node(item) {
      const { isShown, mayEnter } = filter.test(item.path);
      if (isShown && isSorted) kept.push(item);
      else if (isShown) print(item);
      return mayEnter;
    },
  };
  try {
    const begin = (): void => printHead(invocation, chosen.snapshot, folders);
    await walk(invocation, session, { chosen, visitor, begin });
    const sorted = sortNodes(kept, flags.sort ?? 'name');
    for (const item of flags.reverse ? sorted.toReversed() : sorted) print(item);
  } finally {
    lines.end();
  }
}

function printHead(
  { output }: LsInvocation,
  snapshot: StoredSnapshot,
  folders: readonly string[],
): void {
  if (output.isJson) {
    output.line(snapshotJson(snapshot, ',"message_type":"snapshot","struct_type":"snapshot"'));
    return;
  }
  const paths = snapshot.paths.map(safeText).join(' ');
  const who = `${safeText(snapshot.username ?? '')}@${safeText(snapshot.hostname ?? '')}`;
  const head = `snapshot ${shortId(snapshot.id)} of [${paths}] at ${formatStoredTime(snapshot.time)}`;
  output.info(`${head} by ${who} filtered by [${folders.map(safeText).join(' ')}]:`);
}

function jsonPrinter(lines: BulkWriter): (item: WalkedNode) => void {
  const writer = new JsonWriter();
  return ({ path, node }) => {
    writer.length = 0;
    writeListedNode(writer, path, node);
    writer.ascii('\n');
    lines.write(writer.bytes.slice(0, writer.length));
  };
}

function textPrinter(
  { flags, output }: LsInvocation,
  lines: BulkWriter,
): (item: WalkedNode) => void {
  const { isTerminal } = output.stdout;
  return (item) => {
    const head = flags.long ? { head: formatLongHead(item.node, flags) } : {};
    lines.write(pathLine(item, { isTerminal, ...head }));
  };
}

async function printNcdu(
  invocation: LsInvocation,
  session: Session,
  { chosen, filter }: Listing,
): Promise<void> {
  const lines = invocation.output.bulk();
  const writer = new NcduWriter(lines);
  const visitor: TreeVisitor = {
    node({ path, node }) {
      const { isShown, mayEnter } = filter.test(path);
      const isEntered = mayEnter && node.type === 'dir' && node.subtree !== undefined;
      if (isShown || isEntered) writer.node(node, isEntered);
      return mayEnter;
    },
    leave: (path) => {
      if (path.byteLength > 0) writer.leave();
    },
  };
  try {
    const begin = (): void => writer.begin(snapshotRecordJson(chosen.snapshot));
    await walk(invocation, session, { chosen, visitor, begin });
    writer.end();
  } finally {
    lines.end();
  }
}

function partsOf(path: string | Uint8Array): Uint8Array[] {
  return splitSnapshotPath(Buffer.from(path));
}
