import {
  backup as backUp,
  type BackupMonitor,
  type BackupOptions,
  type BackupResult,
  SourceWalk,
} from '../../engine/backup.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StreamSource } from '../../sources/source.ts';
import { openCommandSource } from '../../sources/stream/command-source.ts';
import { InputSource } from '../../sources/stream/input-source.ts';
import { thisOwner } from '../../session/this-process.ts';
import type { BackupFlags } from '../backup-flags.ts';
import { BackupOutput } from '../backup-output.ts';
import { chooseSource, readsInput, type SourceChoice } from '../backup-source.ts';
import type { Invocation } from '../command.ts';
import { readFeatures } from '../features.ts';
import { parseGroupBy } from '../group-by.ts';
import { usage } from '../parse.ts';
import { tellLosses } from '../platform-losses.ts';
import { parsePersonTime } from '../parse-time.ts';
import { repositoryPassword } from '../password.ts';
import { allSnapshots, allTags } from '../select-snapshots.ts';
import { type Session, type SessionOptions, withSession } from '../session.ts';
import { programVersion } from '../version.ts';

type BackupInvocation = Invocation<BackupFlags>;

const partialExitCode = 3;
const unreadWarning = 'Warning: at least one source file could not be read';
const damageWarning = 'Warning: the repository is damaged: run "holdfast check --read-data"';

/** `holdfast backup`. */
export async function backup(invocation: BackupInvocation): Promise<number> {
  const { flags, output } = invocation;
  const options = optionsOf(invocation);
  const choice = chooseSource(invocation);
  refuseSharedInput(invocation);
  const view = new BackupOutput(invocation);
  const lossWarning = tellLosses(output, 'backup');
  let walk: SourceWalk | undefined;
  const sessionOptions: SessionOptions = {
    lock: flags.dryRun ? 'none' : 'shared',
    writes: !flags.dryRun,
    monitor: view,
    beside: async (storage, opening) => {
      if (choice.kind !== 'files') return;
      const source = await choice.open(storage, (text) => view.note(text));
      walk = new SourceWalk(source, invocation.environment.clock);
      // Without remarks: those of the backup itself are enough.
      if (view.wantsScan && !flags.noScan) view.scan(await choice.open(storage));
      await walk.aheadOf(opening);
    },
  };
  try {
    const result = await withSession(invocation, sessionOptions, (session) =>
      run({ invocation, options, choice, walk, view }, session),
    );
    view.finish(result);
    const warning = warningOf(view, result) ?? lossWarning;
    if (warning === undefined) return 0;
    output.exitError(partialExitCode, warning);
    return partialExitCode;
  } finally {
    view.stop();
  }
}

function warningOf({ problemCount }: BackupOutput, result: BackupResult): string | undefined {
  if (result.problems.length > 0) return unreadWarning;
  return problemCount > 0 ? damageWarning : undefined;
}

interface BackupParts {
  readonly invocation: BackupInvocation;
  readonly options: BackupOptions;
  readonly choice: SourceChoice;
  readonly walk: SourceWalk | undefined;
  readonly view: BackupOutput;
}

async function run(parts: BackupParts, session: Session): Promise<BackupResult> {
  const { invocation, options, view } = parts;
  const { environment, output } = invocation;
  const { lock, signal, repository } = session;
  await rememberParity(parts, repository, signal);
  const loading = (async () => {
    // Before the index, so that this has all that they refer to.
    const earlier = parts.walk ? await allSnapshots(session) : [];
    output.verbose('load index files');
    return { earlier, indexed: await session.loadIndex() };
  })();
  await parts.walk?.aheadOf(loading);
  const { earlier, indexed } = await loading;
  const source = parts.walk ?? (await openStream(parts, signal));
  const monitor: BackupMonitor = view;
  try {
    return await backUp(
      indexed,
      source,
      { options, earlier, lock },
      { environment, signal, monitor },
    );
  } finally {
    if (!(source instanceof SourceWalk)) await source.close();
  }
}

/** Sets how much parity new packs get, from now on. */
async function rememberParity(
  { invocation, options }: BackupParts,
  { parity }: Repository,
  signal: AbortSignal,
): Promise<void> {
  const wanted = invocation.flags.parity;
  if (wanted === undefined || options.dryRun) return;
  if ((await parity.load({ signal })) !== wanted) await parity.save(wanted, { signal });
}

/** Starts the producer late, when nothing is left that could fail before it is read. */
async function openStream(
  { invocation, choice }: BackupParts,
  signal: AbortSignal,
): Promise<StreamSource> {
  const { environment, input } = invocation;
  if (choice.kind === 'command') {
    return openCommandSource(choice.command, { environment, fileName: choice.fileName, signal });
  }
  const fileName = choice.kind === 'input' ? choice.fileName : 'stdin';
  return new InputSource(input.readable(), { fileName, signal });
}

function optionsOf(invocation: BackupInvocation): BackupOptions {
  const { flags } = invocation;
  const owner = thisOwner();
  return {
    hostname: flags.host || owner.hostname,
    username: owner.username,
    uid: owner.uid ?? 0,
    gid: owner.gid ?? 0,
    programVersion,
    tags: allTags(flags.tags),
    groupBy: parseGroupBy(flags.groupBy ?? 'host,paths'),
    ...(flags.time === undefined ? {} : { time: parsePersonTime(flags.time, '--time') }),
    ...(flags.parent === undefined ? {} : { parent: flags.parent }),
    force: flags.force,
    ignoreInode: flags.ignoreInode,
    ignoreCtime: flags.ignoreCtime,
    withAtime: flags.withAtime,
    deviceOfHardLinksOnly: readFeatures(invocation.variables).hardLinkDevices,
    skipIfUnchanged: flags.skipIfUnchanged,
    dryRun: flags.dryRun,
    ...(flags.readConcurrency ? { workerCount: flags.readConcurrency } : {}),
  };
}

/** @throws USAGE if standard input would have to give both the password and what is backed up */
function refuseSharedInput(invocation: BackupInvocation): void {
  if (!readsInput(invocation)) return;
  const { globals, variables } = invocation;
  const { file, command, variable, allowEmpty } = repositoryPassword(invocation);
  const isGiven = file ?? command ?? (variable && variables.get(variable));
  if (isGiven !== undefined || allowEmpty || globals.insecureNoPassword) return;
  throw usage(
    'the password cannot come from standard input, which is read for the backup',
    'Use --password-file, --password-command or RESTIC_PASSWORD.',
  );
}
