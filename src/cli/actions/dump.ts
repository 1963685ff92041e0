import { dump as dumpPath, type ByteWriter } from '../../engine/dump.ts';
import { findTree } from '../../engine/trees/snapshot-path.ts';
import type { Invocation } from '../command.ts';
import type { DumpFlags } from '../commands/dump.ts';
import { toFile, toOutput } from '../dump-target.ts';
import { usage } from '../parse.ts';
import { rawPath } from '../raw-arguments.ts';
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
    const path = rawPath(file);
    const run = (write: ByteWriter, onFolder?: () => void): Promise<void> =>
      dumpPath(indexed, { root, path, format, write, onFolder }, { environment, signal, monitor });
    if (flags.target === undefined) await run(...toOutput(output.stdout));
    else await toFile(rawPath(flags.target), run);
    return session.exitCode();
  });
}
