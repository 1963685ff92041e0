import { basename, dirname } from 'node:path';

/** A file of a repository got its final name, or lost it. */
export interface NameChange {
  readonly kind: 'published' | 'removed';
  /** Below the repository, such as `index/0123…`. */
  readonly path: string;
  /** Files and folders below the repository that were durable then, content and name. */
  readonly durable: ReadonlySet<string>;
}

interface Call {
  readonly name: string;
  readonly text: string;
  readonly failed: boolean;
}

/**
 * Reads what strace tells of a program that worked on a repository, and keeps books on what a power cut would leave:
 * the content of a file is safe after fsync of it, its name after fsync of its folder. Knows nothing of the program.
 *
 * strict as T. S. Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), ask for: no file system is
 * trusted to order anything by itself.
 */
export class SyncLedger {
  readonly changes: NameChange[] = [];
  /** What was published or left in a way that a power cut could undo or tear. */
  readonly violations: string[] = [];
  /** Calls that were understood: a log of nothing proves nothing. */
  callCount = 0;
  readonly #root: string;
  /** Paths whose content may be lost. */
  readonly #unsynced = new Set<string>();
  /** Names that may be lost. */
  readonly #unsafeNames = new Set<string>();
  /** Names that may come back. */
  readonly #unsafeRemovals = new Set<string>();
  readonly #durable = new Set<string>();

  /** @param existing files and folders that are there and durable before the program starts, below the root */
  constructor(root: string, existing: Iterable<string> = []) {
    this.#root = root;
    for (const path of existing) this.#durable.add(path);
  }

  /** Takes the whole log: of `strace -f -y`, with all calls that change files. */
  read(log: string): void {
    for (const call of callsOf(log)) if (!call.failed) this.#take(call);
    for (const path of this.#unsafeNames) {
      if (!isTemporary(path) && !this.#unsafeRemovals.has(path)) {
        this.violations.push(`the name of ${path} is not durable at the end`);
      }
    }
    for (const path of this.#unsafeRemovals) {
      if (/^(keys|snapshots|index)\//.test(path)) {
        this.violations.push(`the removal of ${path} is not durable at the end`);
      }
    }
  }

  #take({ name, text }: Call): void {
    const paths = pathsIn(text, this.#root);
    const [first, second] = paths;
    if (first === undefined) return;
    this.callCount++;
    if (name === 'openat') return this.#create(first, text);
    if (/^(pwrite|pwritev|pwrite64|write|writev|ftruncate|fallocate)$/.test(name)) {
      this.#durable.delete(first);
      this.#unsynced.add(first);
    } else if (name === 'fsync' || name === 'fdatasync') this.#sync(first);
    else if (name === 'mkdir' || name === 'mkdirat') this.#unsafeNames.add(first);
    else if (name.startsWith('link')) this.#publish(first, second);
    else if (name.startsWith('rename')) {
      this.#publish(first, second);
      this.#remove(first);
    } else if (name.startsWith('unlink')) this.#remove(first);
  }

  #create(path: string, text: string): void {
    if (!text.includes('O_CREAT')) return;
    this.#unsafeNames.add(path);
    this.#unsynced.add(path);
    this.#durable.delete(path);
  }

  /** Of a folder, as of a file: its content are its names. */
  #sync(path: string): void {
    if (this.#unsynced.delete(path) && !this.#unsafeNames.has(path)) this.#durable.add(path);
    for (const name of this.#unsafeNames) {
      if (folderOf(name) !== path) continue;
      this.#unsafeNames.delete(name);
      if (!this.#unsynced.has(name)) this.#durable.add(name);
    }
    for (const name of this.#unsafeRemovals) {
      if (folderOf(name) === path) this.#unsafeRemovals.delete(name);
    }
  }

  #publish(from: string, to: string | undefined): void {
    if (to === undefined) return;
    if (this.#unsynced.has(from)) this.violations.push(`${to} got its name before its content`);
    this.#unsafeNames.add(to);
    if (!isTemporary(to)) this.#change('published', to);
  }

  #remove(path: string): void {
    this.#unsafeNames.delete(path);
    this.#unsynced.delete(path);
    if (isTemporary(path)) return;
    this.#change('removed', path);
    this.#durable.delete(path);
    this.#unsafeRemovals.add(path);
  }

  #change(kind: NameChange['kind'], path: string): void {
    this.changes.push({ kind, path, durable: new Set(this.#durable) });
  }
}

function isTemporary(path: string): boolean {
  return basename(path).includes('-tmp-');
}

/** The folder of a path below the root: empty for the root, two dots for what it stands in. */
function folderOf(path: string): string {
  if (path === '') return '..';
  const folder = dirname(path);
  return folder === '.' ? '' : folder;
}

/** Calls in the order in which they ended; those of which strace tells in two lines put together. */
function* callsOf(log: string): Generator<Call> {
  const begun = new Map<string, string>();
  for (const line of log.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
    if (start !== undefined) {
      begun.set(thread, start);
      continue;
    }
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    const text = end === undefined ? rest : `${begun.get(thread) ?? ''}${end}`;
    const [, name] = /^([a-z]\w*)\(/.exec(text) ?? [];
    if (name) yield { name, text, failed: /\) += -1 E\w+ /.test(text) };
  }
}

/** Paths below the root that a call names, or has open: relative to the root, which is empty; its folder is `..`. */
function pathsIn(text: string, root: string): string[] {
  const call = text.replace(/\[\{iov_base=.*$/, '');
  const found = [...call.matchAll(/"(\/[^"]*)"|\d+<(\/[^>]*)>/g)].map(
    (match) => match[1] ?? match[2],
  );
  return found
    .filter((path) => path !== undefined)
    .filter((path) => path === root || path === dirname(root) || path.startsWith(`${root}/`))
    .map((path) => (path === dirname(root) ? '..' : path.slice(root.length + 1)));
}
