import { compareBytes } from '../../base/bytes.ts';
import type { Environment } from '../../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { listDirectory, openDirectory } from '../../platform/directory.ts';
import { closeFile } from '../../platform/files.ts';
import { currentDirectory } from '../../platform/machine.ts';
import { printablePath } from '../../platform/place.ts';
import { readStatusOf, tryReadStatus } from '../../platform/status.ts';
import type { SourceProblem } from '../source.ts';
import { type ByteText, bytesOf, byteTextOf, readableText } from './byte-text.ts';
import { absolutePath, cleanPath, joinPath } from './clean-path.ts';
import { silentMountError } from './directory-reader.ts';
import { type ExcludeOptions, ExcludeRules } from './exclude-rules.ts';
import { FileSource } from './file-source.ts';
import { FarSystems } from './far-systems.ts';
import { FolderGuard } from './folder-guard.ts';
import { assertHoldsNone } from './holds-folder.ts';
import { type MountCalls, MountWatch, systemMounts } from './mount-watch.ts';
import { mergeTargets, snapshotComponents, type Target } from './target-tree.ts';

const probeTimeoutDefaultMs = 120_000;

/** What a source of files leaves out, and what it needs of the machine. */
export interface FileSourceOptions {
  readonly environment: Environment;
  readonly exclude?: ExcludeOptions;
  /** For the snapshot record: only what was given by `--exclude`. Default: none. */
  readonly recordedExcludes?: readonly string[];
  /** Patterns for targets that match nothing: each is a problem, as a missing target is. Default: none. */
  readonly unmatched?: readonly Uint8Array[];
  /** What relative targets are relative to. Default: the process's own. */
  readonly workingDirectory?: string | Uint8Array;
  /** The folder of the repository: a target must not be it or hold it, unless a pattern excludes it. */
  readonly repositoryFolders?: readonly (string | Uint8Array)[];
  /** Our own cache: silently left out; must not be a target itself. */
  readonly cacheFolders?: readonly (string | Uint8Array)[];
  /** How mounted file systems are asked whether they answer. Default: the system's, with `probeTimeoutMs`. */
  readonly mounts?: MountCalls;
  /** A file system, directory or file of one that may hang is left out as a problem if it is silent for so long. */
  readonly probeTimeoutMs?: number;
  /** Ends all waiting for file systems that do not answer. */
  readonly signal?: AbortSignal;
  /** Hears what is left out although nobody asked for that. */
  readonly onNote?: (text: string) => void;
}

/** A target that exists. */
interface FoundTarget {
  readonly path: ByteText;
  readonly absolute: ByteText;
}

/**
 * Opens files and directories of this machine as one source.
 *
 * Targets that are missing or cannot be reached are problems of the root listing, as long as one is left.
 * @throws SOURCE_MISSING if none is left; SOURCE_HOLDS_REPOSITORY; PATTERN_INVALID, USAGE
 * @see docs/FORMAT.md
 */
export async function openFileSource(
  targets: readonly (string | Uint8Array)[],
  options: FileSourceOptions,
): Promise<FileSource> {
  const rules = new ExcludeRules(options.exclude ?? {});
  const workingDirectory = byteTextOf(options.workingDirectory ?? currentDirectory());
  const far: FarSystems = new FarSystems({
    clock: options.environment.clock,
    ...waitOf(options),
    rootOf: (device) => mounts.rootOf(device),
  });
  const mounts: MountWatch = new MountWatch(options.mounts ?? mountsOf(options, far));
  const problems = (options.unmatched ?? []).map((pattern) =>
    noMatch(byteTextOf(pattern), workingDirectory),
  );
  const found = await findTargets(targets, { workingDirectory, mounts, problems });
  if (found.length === 0) {
    far.close();
    throw missingError(problems);
  }
  const folders = new FolderGuard();
  guardFolders(folders, options);
  const places = found.map((target) => target.absolute);
  assertHoldsNone(places, { rules, folders: options.repositoryFolders ?? [], inside: true });
  assertHoldsNone(places, { rules, folders: options.cacheFolders ?? [], inside: false });
  const resolved: Target[] = [];
  for (const target of found) {
    // Not as arguments of one call: there may be millions.
    for (const each of await spread(target, mounts, problems)) resolved.push(each);
  }
  return new FileSource({
    paths: found.map((target) => readableText(target.absolute)),
    excludes: options.recordedExcludes ?? [],
    top: mergeTargets(resolved, workingDirectory),
    problems,
    rules,
    folders,
    mounts,
    far,
    onNote: options.onNote ?? ((): void => {}),
  });
}

function mountsOf(options: FileSourceOptions, far: FarSystems): MountCalls {
  const mounts = systemMounts(options.environment.clock, waitOf(options));
  return { ...mounts, probeEntry: (path) => far.answers(path) };
}

function waitOf({ probeTimeoutMs, signal }: FileSourceOptions): {
  timeoutMs: number;
  signal: AbortSignal | undefined;
} {
  return { timeoutMs: probeTimeoutMs ?? probeTimeoutDefaultMs, signal };
}

async function findTargets(
  targets: readonly (string | Uint8Array)[],
  context: {
    readonly workingDirectory: ByteText;
    readonly mounts: MountWatch;
    readonly problems: SourceProblem[];
  },
): Promise<FoundTarget[]> {
  const { workingDirectory, mounts, problems } = context;
  const found: FoundTarget[] = [];
  for (const target of targets) {
    const given = byteTextOf(target);
    const absolute = absolutePath(given, workingDirectory);
    const path = bytesOf(absolute);
    try {
      if (!(await mounts.enterTarget(absolute))) throw silentMountError();
      // As given, not cleaned: `link/..` and `file/` mean to the system what they mean to no text.
      const asGiven = given.startsWith('/') ? given : `${workingDirectory}/${given}`;
      if (given === '' || tryReadStatus(bytesOf(asGiven)) === undefined) throw noTarget(given);
      found.push({ path: cleanPath(given), absolute });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      problems.push({ path, error, during: 'scan' });
    }
  }
  return found;
}

/** A target without components of its own is replaced by its entries, which are not explicit. */
async function spread(
  { path, absolute }: FoundTarget,
  mounts: MountWatch,
  problems: SourceProblem[],
): Promise<Target[]> {
  if (snapshotComponents(path).length > 0) return [{ path, isExplicit: true }];
  await mounts.askBelow(bytesOf(absolute));
  try {
    const directory = openDirectory(bytesOf(absolute));
    try {
      const { device } = readStatusOf(directory);
      const names = listDirectory(directory).sort(compareBytes).map(byteTextOf);
      return names.map((name) => ({ path: joinPath(path, name), isExplicit: false, device }));
    } finally {
      closeFile(directory);
    }
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    problems.push({ path: bytesOf(absolute), error, during: 'scan' });
    return [];
  }
}

function guardFolders(guard: FolderGuard, options: FileSourceOptions): void {
  for (const [folders, role] of [
    [options.repositoryFolders ?? [], 'forbidden'],
    [options.cacheFolders ?? [], 'own'],
  ] as const) {
    for (const folder of folders) {
      const status = tryReadStatus(bytesOf(byteTextOf(folder)), { follow: true });
      if (status?.kind === 'directory') guard.add(status, role);
    }
  }
}

function noTarget(given: ByteText): HoldfastError {
  return new HoldfastError('SOURCE_MISSING', { details: { path: printablePath(bytesOf(given)) } });
}

function noMatch(pattern: ByteText, workingDirectory: ByteText): SourceProblem {
  const error = new HoldfastError('SOURCE_MISSING', {
    message: 'nothing matches this pattern',
    details: { pattern: printablePath(bytesOf(pattern)) },
  });
  return { path: bytesOf(absolutePath(pattern, workingDirectory)), error, during: 'scan' };
}

function missingError(problems: readonly SourceProblem[]): HoldfastError {
  const first = problems[0]?.error;
  if (first === undefined) {
    return new HoldfastError('SOURCE_MISSING', {
      message: 'nothing to back up: no files or folders were named',
      hint: 'Name at least one file or folder.',
    });
  }
  if (problems.length === 1) return first;
  return new HoldfastError('SOURCE_MISSING', {
    message: 'none of the sources can be read',
    details: { count: problems.length },
    cause: first,
  });
}
