import { compareBytes, utf8 } from '../../base/bytes.ts';
import { type Environment, systemEnvironment } from '../../base/environment.ts';
import { describeError, HoldfastError } from '../../base/errors.ts';
import type { Problem } from '../../base/monitor.ts';
import type { FileStatus } from '../../platform/status.ts';
import { loadSnapshots, tellUnreadable } from '../../repository/snapshots.ts';
import { testRepository, type TestRepositoryOptions } from '../../repository/index-test-support.ts';
import { loadIndex, loadIndexFiles } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { Source, SourceEntry, SourceListing, SourceProblem } from '../../sources/source.ts';
import { backup, type BackupItem, type BackupOptions, type BackupResult } from '../backup.ts';
import { TreeReader } from '../trees/tree-reader.ts';
import { SourceWalk } from '../source-walk.ts';

/** A folder of a source that is not on any disk: links, pipes and folders, by name. */
export interface TestFolder {
  readonly [name: string]: TestFolder | string | SourceProblem['error'];
}

const time = { seconds: 1_600_000_000, nanoseconds: 5 };

/** A status with what most tests do not look at. */
export function statusOf(kind: FileStatus['kind'], more: Partial<FileStatus> = {}): FileStatus {
  return {
    kind,
    mode: 0o755,
    uid: 0,
    gid: 0,
    links: 1,
    inode: 7,
    device: 1,
    rdev: 0,
    sizeBytes: 0,
    blocks: 0,
    mtime: time,
    atime: time,
    ctime: time,
    ...more,
  };
}

/**
 * A source without files to read. A text stands for a link to it, an empty one for a pipe, an error for what cannot
 * be listed. Remembers in which order it was asked. Lists in parts if told so.
 */
export class TestSource implements Source {
  readonly paths: readonly string[];
  readonly excludes: readonly string[] = [];
  readonly listed: string[] = [];
  readonly #root: TestFolder;
  readonly #partEntriesMax: number;
  readonly #folders = new WeakMap<SourceEntry, TestFolder | HoldfastError>();

  constructor(
    root: TestFolder,
    paths: readonly string[] = ['/made'],
    partEntriesMax: number = Number.POSITIVE_INFINITY,
  ) {
    this.#root = root;
    this.paths = paths;
    this.#partEntriesMax = partEntriesMax;
  }

  root(): SourceListing {
    this.listed.push('/');
    return this.#listing(this.#root, '');
  }

  list(entry: SourceEntry): SourceListing {
    const path = Buffer.from(entry.path).toString();
    this.listed.push(path);
    const folder = this.#folders.get(entry);
    if (folder instanceof HoldfastError) {
      const problems = [{ path: entry.path, error: folder, during: 'scan' }] as const;
      return { entries: [], problems, complete: false, vanished: [] };
    }
    return this.#listing(folder ?? {}, path);
  }

  #listing(folder: TestFolder, above: string): SourceListing {
    const entries = Object.entries(folder)
      .map(([name, item]) => this.#entry(name, item, above))
      .toSorted((a, b) => compareBytes(a.name, b.name));
    return this.#part(entries);
  }

  #part(entries: readonly SourceEntry[]): SourceListing {
    const now = entries.slice(0, this.#partEntriesMax);
    const listing = { entries: now, problems: [], complete: true, vanished: [] };
    if (now.length === entries.length) return listing;
    return { ...listing, rest: () => this.#part(entries.slice(now.length)) };
  }

  #entry(name: string, item: TestFolder[string], above: string): SourceEntry {
    const path = utf8(`${above}/${name}`);
    const more = { name: utf8(name), path, extendedAttributes: [] };
    if (item === '') return { ...more, status: statusOf('fifo') };
    if (typeof item === 'string') {
      return { ...more, status: statusOf('symlink'), linkTarget: utf8(item) };
    }
    const isImplied = this.paths.some((target) => target.startsWith(`${above}/${name}/`));
    const entry = { ...more, status: statusOf('directory'), isImplied };
    this.#folders.set(entry, item);
    return entry;
  }
}

/** A backup as tests look at it. */
export interface HeardBackup extends BackupResult {
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  readonly items: readonly string[];
}

export const testOptions: BackupOptions = {
  hostname: 'host',
  username: 'user',
  uid: 1,
  gid: 2,
  programVersion: 'holdfast test',
  tags: [],
  groupBy: { host: true, paths: true, tags: false },
  workerCount: 2,
};

/** Backs up into a repository without key derivation, in memory unless told otherwise. */
export async function backUpHeard(
  source: Source,
  settings: TestRepositoryOptions & {
    readonly options?: Partial<BackupOptions>;
    readonly signal?: AbortSignal;
  },
): Promise<HeardBackup> {
  const repository = testRepository(settings);
  const complaints: string[] = [];
  const notes: string[] = [];
  const items: string[] = [];
  const monitor = {
    problem: ({ item, error }: Problem): void => {
      complaints.push(`${item}: ${describeError(error)}`);
    },
    note: (text: string): void => {
      notes.push(text);
    },
    progress: (): void => {},
    item: ({ action, path }: BackupItem): void => {
      items.push(`${action} ${Buffer.from(path).toString()}`);
    },
  };
  const earlier = await loadSnapshots(repository, {
    signal: settings.signal,
    onUnreadable: tellUnreadable(monitor),
  });
  const loaded = await loadIndexFiles(repository);
  const indexed = new IndexedRepository(repository, loaded.index, loaded);
  const { clock } = repository.environment;
  // A thread costs more to start than most of these backups take.
  const environment: Environment = { ...systemEnvironment, clock, isSingleThreaded: true };
  const context = { environment, monitor, signal: settings.signal };
  const options = { ...testOptions, ...settings.options };
  const walk = new SourceWalk(source, environment.clock);
  const result = await backup(indexed, walk, { options, earlier }, context);
  return { ...result, complaints, notes, items: items.toSorted() };
}

/** Reads the trees of a repository. */
export async function treeReaderOf(settings: TestRepositoryOptions): Promise<TreeReader> {
  const repository = testRepository(settings);
  return new TreeReader(new IndexedRepository(repository, await loadIndex(repository)), {});
}

/** A whole tree as text, one line an item: for comparing, not by recursion. */
export async function describeStored(
  settings: TestRepositoryOptions,
  treeId: string,
): Promise<string[]> {
  const reader = await treeReaderOf(settings);
  const lines: string[] = [];
  const pending = [{ id: Buffer.from(treeId, 'hex') as Uint8Array, above: '' }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const node of await reader.load(next.id)) {
      const path = `${next.above}/${Buffer.from(node.name).toString()}`;
      lines.push(describeNode(path, node));
      if (node.subtree) pending.push({ id: node.subtree, above: path });
    }
  }
  return lines.toSorted();
}

function describeNode(path: string, node: TreeNode): string {
  const target = node.linkTarget ? ` -> ${Buffer.from(node.linkTarget).toString()}` : '';
  return `${node.type} ${path}${target}`;
}

/** What `describeStored` gives for what a `TestSource` was made of. */
export function describeFolder(root: TestFolder): string[] {
  const lines: string[] = [];
  const pending = [{ folder: root, above: '' }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const [name, item] of Object.entries(next.folder)) {
      const path = `${next.above}/${name}`;
      if (item === '') lines.push(`fifo ${path}`);
      else if (typeof item === 'string') lines.push(`symlink ${path} -> ${item}`);
      else if (!(item instanceof HoldfastError)) {
        lines.push(`dir ${path}`);
        pending.push({ folder: item, above: path });
      }
    }
  }
  return lines.toSorted();
}
