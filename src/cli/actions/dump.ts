import { dump as dumpPath, type ByteWriter } from '../../engine/dump.ts';
import { findTree } from '../../engine/snapshot-path.ts';
import { closeFile, openFile, syncFile, writeAt } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { Invocation } from '../command.ts';
import type { DumpFlags } from '../commands/dump.ts';
import { usage } from '../parse.ts';
import { rawArguments } from '../raw-arguments.ts';
import { filterOf, selectSnapshot } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

/** `holdfast dump`. */
export function dump(invocation: Invocation<DumpFlags>): Promise<number> {
  const { flags, environment, output } = invocation;
  const [snapshotId, file, extra] = invocation.arguments;
  if (snapshotId === undefined || file === undefined || extra !== undefined) {
    throw usage(
      'no file and no snapshot ID specified',
      'Usage: holdfast dump [flags] snapshotID file',
    );
  }
  const format = flags.archive ?? 'tar';
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const { signal, monitor } = session;
    const chosen = await selectSnapshot(session, snapshotId, filterOf(flags));
    const indexed = await session.loadIndex();
    const root = await findTree(indexed, chosen, { signal });
    const [path = new Uint8Array()] = rawArguments([file]).map((one) => Buffer.from(one));
    const run = (write: ByteWriter): Promise<void> =>
      dumpPath(indexed, { root, path, format, write }, { environment, signal, monitor });
    if (flags.target === undefined) await run((bytes) => output.stdout.writeAll(bytes));
    else await withTarget(flags.target, run);
    return session.exitCode();
  });
}

/** Lets `work` write to the file of `--target`, which may also be a device or a FIFO. */
async function withTarget(
  target: string,
  work: (write: ByteWriter) => Promise<void>,
): Promise<void> {
  const file = openFile(Buffer.from(target), {
    write: true,
    create: true,
    truncate: true,
    mode: 0o666,
    noFollow: false,
    nonBlocking: false,
  });
  try {
    await work((bytes) => writeAt(file, bytes));
    if (readStatusOf(file).kind === 'file') syncFile(file);
  } finally {
    closeFile(file);
  }
}
