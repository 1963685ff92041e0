import type { Backend } from '../storage/backend.ts';
import { type FileSourceOptions, openFileSource } from '../sources/files/open-file-source.ts';
import { readFilesFrom } from '../sources/files/files-from.ts';
import { readPatternFiles } from '../sources/files/pattern-files.ts';
import type { Source } from '../sources/source.ts';
import type { BackupFlags } from './backup-flags.ts';
import { cacheBase } from './cache.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';
import { rawArguments } from './raw-arguments.ts';

type BackupInvocation = Invocation<BackupFlags>;

/** What the flags of a backup ask to be read. */
export type SourceChoice =
  | {
      readonly kind: 'files';
      /** @param onNote hears what is left out although nobody asked for that */
      open(storage: Backend, onNote?: (text: string) => void): Promise<Source>;
    }
  | { readonly kind: 'input'; readonly fileName: string }
  | { readonly kind: 'command'; readonly fileName: string; readonly command: readonly string[] };

/** Reads the flags, lists of files and patterns. @throws USAGE, PATTERN_INVALID and what reading the lists throws */
export function chooseSource(invocation: BackupInvocation): SourceChoice {
  const { flags } = invocation;
  const args = invocation.arguments;
  const fileName = flags.stdinFilename ?? 'stdin';
  const hasLists = [flags.filesFrom, flags.filesFromVerbatim, flags.filesFromRaw].some(
    (list) => list.length > 0,
  );
  if (flags.stdinFromCommand) {
    if (flags.stdin) throw usage('--stdin and --stdin-from-command cannot be given together');
    if (hasLists) throw usage('--stdin-from-command cannot be combined with --files-from');
    if (args.length === 0) throw usage('--stdin-from-command needs a command to run');
    return { kind: 'command', fileName, command: args };
  }
  if (flags.stdin) {
    if (hasLists) throw usage('--stdin cannot be combined with --files-from');
    if (args.length > 0) {
      throw usage('--stdin was specified and files or folders were listed as arguments');
    }
    return { kind: 'input', fileName };
  }
  return fileChoice(invocation);
}

/** True if the backup itself reads standard input, so that no password can come from there. */
export function readsInput({ flags }: BackupInvocation): boolean {
  const lists = [...flags.filesFrom, ...flags.filesFromVerbatim, ...flags.filesFromRaw];
  return (flags.stdin && !flags.stdinFromCommand) || lists.includes('-');
}

function fileChoice(invocation: BackupInvocation): SourceChoice {
  const { flags } = invocation;
  const { targets: listed, unmatched } = readFilesFrom({
    patterns: flags.filesFrom,
    verbatim: flags.filesFromVerbatim,
    raw: flags.filesFromRaw,
  });
  const targets = [...listed, ...rawArguments(invocation.arguments)];
  if (targets.length + unmatched.length === 0) {
    throw usage('nothing to back up', 'Name at least one file or folder.');
  }
  const exclude = excludeOptions(invocation);
  return {
    kind: 'files',
    open: (storage, onNote) => {
      const options: FileSourceOptions = {
        environment: invocation.environment,
        exclude,
        recordedExcludes: flags.excludes,
        repositoryFolders: storage.localPath === undefined ? [] : [storage.localPath],
        cacheFolders: cacheFolders(invocation),
        unmatched,
        ...(onNote && { onNote }),
        signal: invocation.signal,
      };
      return openFileSource(targets, options);
    },
  };
}

function excludeOptions({
  flags,
  variables,
}: BackupInvocation): NonNullable<FileSourceOptions['exclude']> {
  const read = (names: readonly string[]): Uint8Array[] =>
    readPatternFiles(names, { variables: variables.all });
  return {
    patterns: [...rawArguments(flags.excludes), ...read(flags.excludeFiles)],
    patternsIgnoringCase: [
      ...rawArguments(flags.excludesIgnoringCase),
      ...read(flags.excludeFilesIgnoringCase),
    ],
    ifPresent: flags.excludeIfPresent,
    caches: flags.excludeCaches,
    ...(flags.excludeLargerThan === undefined ? {} : { largerThanBytes: flags.excludeLargerThan }),
    oneFileSystem: flags.oneFileSystem,
  };
}

function cacheFolders(invocation: BackupInvocation): string[] {
  if (invocation.globals.noCache) return [];
  try {
    return [cacheBase(invocation)];
  } catch {
    // Without a folder for caches there is nothing to leave out.
    return [];
  }
}
