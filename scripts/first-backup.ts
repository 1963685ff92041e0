// npm run first-backup -- PATH [--to FOLDER]
// A first backup from nothing: makes a repository with a password of its own and a recovery kit, backs PATH up, checks
// the repository, restores it beside, compares every byte and attribute, and says what to do next. Asks nothing.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { formatBytes } from '../src/base/bytes.ts';
import { systemEnvironment } from '../src/base/environment.ts';
import { describeError, HoldfastError, isHoldfastError } from '../src/base/errors.ts';
import { type Timestamp, timestampFromNs } from '../src/base/timestamp.ts';
import {
  generatePassword,
  type RecoveryKit,
  recoveryKitText,
  shellQuote as quote,
} from '../src/engine/recovery-kit.ts';
import { exists, makeDirectories, removeTree, writeFileAtomic } from '../src/platform/files.ts';
import { tryReadStatus } from '../src/platform/status.ts';
import { type Comparison, compareTrees } from './first-backup/compare-trees.ts';
import { type CallResult, runHoldfast } from './first-backup/run-holdfast.ts';

const { clock, random } = systemEnvironment;
const program = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const differencesShownMax = 20;
const isRoot = process.getuid?.() === 0;

/** Files of a first backup. */
interface Places {
  readonly folder: string;
  readonly repository: string;
  readonly passwordFile: string;
  readonly kitFile: string;
  /** Restored copy; removed in the end. */
  readonly restored: string;
}

/** What is being done, for all steps. */
interface Work {
  readonly source: string;
  readonly places: Places;
  readonly password: string;
  readonly kit: RecoveryKit;
  readonly startedMs: number;
}

let isCancelled = false;
let stepNumber = 0;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function step(text: string): void {
  stepNumber++;
  say(`\n[${stepNumber}/5] ${text}`);
}

function fail(message: string, hint?: string): HoldfastError {
  return new HoldfastError('USAGE', hint === undefined ? { message } : { message, hint });
}

const usage = 'Usage: npm run first-backup -- PATH [--to FOLDER]';

function readArguments(args: readonly string[]): {
  values: { to?: string | undefined };
  positionals: string[];
} {
  try {
    const options = { to: { type: 'string' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const [sentence = ''] = describeError(error).split('. ');
    throw fail(sentence, usage);
  }
}

/** The path to back up and the places to use. @throws USAGE if that cannot be done, before anything is made */
function plan(args: readonly string[]): Pick<Work, 'source' | 'places'> {
  const { values, positionals } = readArguments(args);
  const [path, ...more] = positionals;
  if (path === undefined) throw fail('name the file or folder to back up', usage);
  if (more.length > 0) throw fail(`give one PATH, not ${positionals.length}`, usage);
  // npm runs scripts in the project's folder; a relative path means where the person is.
  const here = process.env['INIT_CWD'] ?? process.cwd();
  const source = resolve(here, path);
  const status = tryReadStatus(Buffer.from(source));
  if (!status) throw fail(`${source} does not exist`);
  if (status.kind !== 'directory' && status.kind !== 'file') {
    throw fail(`${source} is neither a file nor a folder`);
  }
  const folder = values.to === undefined ? defaultFolder(source) : resolve(here, values.to);
  if (isWithin(folder, source)) {
    throw fail(
      `${folder} lies in ${source}, and a backup does not go into what it backs up`,
      'Name another place, best on another disk: --to FOLDER.',
    );
  }
  if (exists(Buffer.from(folder))) {
    throw fail(
      `${folder} exists already, and a first backup starts fresh`,
      'Name another place with --to FOLDER, or move that folder away.',
    );
  }
  return {
    source,
    places: {
      folder,
      repository: join(folder, 'repository'),
      passwordFile: join(folder, 'password'),
      kitFile: join(folder, 'recovery-kit.txt'),
      restored: join(folder, 'restored'),
    },
  };
}

/** In the home folder; or beside the source, if that is or holds the home folder. */
function defaultFolder(source: string): string {
  const name = 'holdfast-first-backup';
  const usual = join(homedir(), name);
  return isWithin(usual, source) ? resolve(source, '..', name) : usual;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

function call(work: Work, args: readonly string[], show = true): Promise<CallResult> {
  const { places, password } = work;
  return runHoldfast({ program, args, repository: places.repository, password }, show);
}

/** Throws unless the call ended with one of `accepted`; the program has said why on its own. */
function expectExit(what: string, result: CallResult, accepted: readonly number[]): void {
  if (isCancelled || result.exitCode === 130) throw new HoldfastError('CANCELLED');
  if (accepted.includes(result.exitCode)) return;
  throw new HoldfastError('COMMAND_FAILED', {
    message: `${what} failed, as said above`,
    details: { exitCode: result.exitCode },
  });
}

function writeKit(work: Work, repositoryId: string | undefined): void {
  const text = recoveryKitText({ ...work.kit, repositoryId });
  writeFileAtomic(Buffer.from(work.places.kitFile), Buffer.from(text), 0o600);
}

function makeFolder(folder: string): void {
  try {
    makeDirectories(Buffer.from(folder));
  } catch (cause) {
    throw new HoldfastError(isHoldfastError(cause) ? cause.code : 'TARGET_FAILED', {
      message: `${folder} cannot be made`,
      hint: 'Name another place, best on another disk: --to FOLDER.',
      cause,
    });
  }
}

/** Makes the repository. The kit is written first: no repository without its password. */
async function create(work: Work): Promise<void> {
  const { folder, repository, passwordFile } = work.places;
  step(`Creating a repository in ${repository}`);
  makeFolder(folder);
  try {
    writeKit(work, undefined);
    writeFileAtomic(Buffer.from(passwordFile), Buffer.from(`${work.password}\n`), 0o600);
    const result = await call(work, ['init', '--json'], false);
    expectExit('creating the repository', result, [0]);
    const line: { id?: unknown } = JSON.parse(result.output.trim().split('\n').at(-1) ?? '{}');
    writeKit(work, typeof line.id === 'string' ? line.id : undefined);
  } catch (error) {
    removeTree(Buffer.from(folder));
    throw error;
  }
}

/** Restores beside and compares. @returns what was found, and whether the restore itself complained */
async function prove(
  work: Work,
  since: Timestamp,
): Promise<{ comparison: Comparison; hasRestored: boolean }> {
  const { restored } = work.places;
  step(`Restoring it to ${restored}`);
  const result = await call(work, ['restore', 'latest', '--target', restored]);
  expectExit('restoring', result, [0, 1]);
  const copy = join(restored, work.source);
  if (!tryReadStatus(Buffer.from(copy))) expectExit('restoring', result, [0]);
  step('Comparing every byte and attribute');
  const comparison = await compareTrees(Buffer.from(work.source), Buffer.from(copy), {
    since,
    asRoot: isRoot,
    onDirectory: async () => {
      await clock.nextTurn();
      if (isCancelled) throw new HoldfastError('CANCELLED');
    },
  });
  return { comparison, hasRestored: result.exitCode === 0 };
}

function showComparison(comparison: Comparison): void {
  const { differences, missing, changedMeanwhile } = comparison;
  const lines = [...differences, ...missing];
  for (const line of lines.slice(0, differencesShownMax)) say(`  ${line}`);
  const more = lines.length - differencesShownMax;
  if (more > 0) say(`  … and ${more} more`);
  if (changedMeanwhile.length > 0) {
    const some = changedMeanwhile.slice(0, 3).join(', ');
    say(`  ${changedMeanwhile.length} changed since the backup began, which is no fault: ${some}`);
  }
  const { entryCount, contentSizeBytes } = comparison;
  say(`  ${entryCount} entries and ${formatBytes(contentSizeBytes)} of content compared`);
}

/** The last lines: what was shown to hold, and what to do next. */
function showNext(work: Work, isWhole: boolean): void {
  const { places, source } = work;
  const seconds = ((clock.monotonicMs() - work.startedMs) / 1000).toFixed(1);
  const command = `${quote(program)} -r ${quote(places.repository)} --password-file ${quote(places.passwordFile)}`;
  const result = isWhole
    ? `${source} is backed up, checked, restored and found equal`
    : `What could be read of ${source} is backed up, checked and restored; the rest is named above`;
  say(`\n${result} (${seconds} s). Next:`);
  say(`1. Keep a copy of ${places.kitFile} away from this machine: it holds the password.`);
  say(
    `2. Back up again, now and then; only what changed is stored: ${command} backup ${quote(source)}`,
  );
  say(
    `3. Look and restore: ${command} snapshots (or: ls latest, restore latest --target FOLDER, help)`,
  );
}

async function firstBackup(args: readonly string[]): Promise<number> {
  const startedMs = clock.monotonicMs();
  const { source, places } = plan(args);
  const password = generatePassword(random);
  const date = new Date(clock.wallMs()).toISOString().slice(0, 10);
  const { repository } = places;
  const kit = { location: repository, repositoryId: undefined, password, source, date, program };
  const work: Work = { source, places, password, kit, startedMs };
  await create(work);
  say(`  its password and how to restore: ${places.kitFile}`);
  step(`Backing up ${source}`);
  const since = timestampFromNs(clock.wallNs());
  const backup = await call(work, ['backup', source]);
  expectExit('the backup', backup, [0, 3]);
  step('Checking the repository, with all its data');
  expectExit('the check', await call(work, ['check', '--read-data']), [0]);
  try {
    const { comparison, hasRestored } = await prove(work, since);
    showComparison(comparison);
    const { differences, missing } = comparison;
    // What the backup could not read, and said so, cannot be in the copy.
    if (differences.length > 0 || (missing.length > 0 && backup.exitCode === 0)) {
      throw new HoldfastError('VERIFY_FAILED', {
        message: `the restored copy differs from ${source}, as listed above`,
        hint: `The repository is kept in ${repository}.`,
      });
    }
    if (!hasRestored && isRoot) {
      throw new HoldfastError('TARGET_FAILED', { message: 'not all was restored, as said above' });
    }
    if (!hasRestored) say('  (only root can give files to other owners; all else is as it was)');
    showNext(work, backup.exitCode === 0);
    return backup.exitCode;
  } finally {
    removeTree(Buffer.from(places.restored));
  }
}

// A child gets the terminal's interrupt, too; this process stays to clean up after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    isCancelled = true;
  });
}

try {
  process.exitCode = await firstBackup(process.argv.slice(2));
} catch (error) {
  const known = error instanceof HoldfastError ? error : undefined;
  const hint = known?.hint === undefined ? '' : `. ${known.hint}`;
  process.stderr.write(`first-backup: ${describeError(error)}${hint}\n`);
  process.exitCode = known?.row.exitCode ?? 1;
}
