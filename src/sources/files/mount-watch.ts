import { readlinkSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { mountPoints, probeDirectory } from '../../platform/mounts.ts';
import { tryReadStatus } from '../../platform/status.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { absolutePath, componentsOf } from './clean-path.ts';

/** As the kernel's own limit. */
const linksMax = 40;

/** The system's part of the watch; a test has its own. */
export interface MountCalls {
  /** Absolute paths of all mount points. */
  list(): readonly Uint8Array[];
  /** True if the directory can be listed; false if it gives no answer in time. Must not block the thread. */
  probe(path: Uint8Array): Promise<boolean>;
}

/** Mount points of this machine; one that gives no answer within `timeoutMs` counts as dead. */
export function systemMounts(clock: Clock, timeoutMs: number): MountCalls {
  return {
    list: () => mountPoints().map((mount) => mount.path),
    probe: (path) => probeDirectory(path, timeoutMs, clock),
  };
}

/**
 * Keeps the walk away from mounted file systems that do not answer: a dead NFS server or a FUSE program that sleeps
 * would stop the thread in the first call that touches its mount point, and with it everything.
 *
 * Each mount point is asked once, in a call that cannot block, before anything else touches it.
 */
export class MountWatch {
  readonly #calls: MountCalls;
  readonly #points: ReadonlySet<ByteText>;
  readonly #answers = new Map<ByteText, Promise<boolean>>();
  readonly #silent = new Set<ByteText>();
  /** Names of mount points by the directory that holds them, below the targets only. */
  readonly #namesIn = new Map<ByteText, Set<ByteText>>();
  /** Where a path as named by the user leads through links: [path as named, real path]. */
  readonly #aliases: [ByteText, ByteText][] = [];

  constructor(calls: MountCalls) {
    this.#calls = calls;
    this.#points = new Set(calls.list().map(byteTextOf));
  }

  /** False: nothing is mounted below any target. */
  get hasAny(): boolean {
    return this.#namesIn.size > 0;
  }

  /**
   * Finds where a target really is, asking each file system on the way first.
   * @returns false if one of them does not answer, so that the target must not be touched
   */
  async enterTarget(path: ByteText): Promise<boolean> {
    const real = await this.#resolve(path);
    if (real === undefined) return false;
    if (real !== path) this.#aliases.unshift([path, real]);
    for (const point of this.#points) {
      if (point === real || !isBelow(point, real)) continue;
      const slash = point.lastIndexOf('/');
      const parent = slash === 0 ? '/' : point.slice(0, slash);
      const names = this.#namesIn.get(parent) ?? new Set();
      this.#namesIn.set(parent, names.add(point.slice(slash + 1)));
    }
    return true;
  }

  /** Asks the file systems mounted directly in the directory `path`; undefined if there are none. */
  askBelow(path: Uint8Array): Promise<void> | undefined {
    if (this.#namesIn.size === 0) return undefined;
    const real = this.#realPath(path);
    const names = this.#namesIn.get(real);
    if (names === undefined) return undefined;
    return Promise.all(Array.from(names, (name) => this.#ask(joined(real, name)))).then(() => {});
  }

  /** Asks the file system mounted at `path`. */
  async askAt(path: Uint8Array): Promise<void> {
    await this.#ask(this.#realPath(path));
  }

  /** True if the file system at `path` was asked and did not answer. */
  isSilent(path: Uint8Array): boolean {
    return this.#silent.size > 0 && this.#silent.has(this.#realPath(path));
  }

  /** Names in the directory `path` that must not be touched. */
  silentNamesIn(path: Uint8Array): ReadonlySet<ByteText> | undefined {
    if (this.#silent.size === 0) return undefined;
    const real = this.#realPath(path);
    const names = this.#namesIn.get(real) ?? [];
    return new Set([...names].filter((name) => this.#silent.has(joined(real, name))));
  }

  #ask(point: ByteText): Promise<boolean> {
    let answer = this.#answers.get(point);
    if (answer === undefined) {
      answer = this.#calls.probe(bytesOf(point)).then((isAlive) => {
        if (!isAlive) this.#silent.add(point);
        return isAlive;
      });
      this.#answers.set(point, answer);
    }
    return answer;
  }

  #realPath(path: Uint8Array): ByteText {
    const text = byteTextOf(path);
    for (const [named, real] of this.#aliases) {
      if (text === named) return real;
      if (isBelow(text, named)) return joined(real, text.slice(named.length).replace(/^\/+/, ''));
    }
    return text;
  }

  /** The path without links in its parents; undefined if something on the way does not answer. */
  async #resolve(path: ByteText): Promise<ByteText | undefined> {
    let rest = componentsOf(path);
    let at: ByteText = '/';
    let linkCount = 0;
    while (rest.length > 0) {
      const next = joined(at, rest[0] ?? '');
      rest = rest.slice(1);
      if (this.#points.has(next) && !(await this.#ask(next))) return undefined;
      const target = rest.length > 0 ? linkTargetOf(next) : undefined;
      if (target === undefined) at = next;
      else {
        // A loop of links: the calls that follow will say so.
        if (++linkCount > linksMax) return path;
        rest = [...componentsOf(absolutePath(target, at)), ...rest];
        at = '/';
      }
    }
    return at;
  }
}

function linkTargetOf(path: ByteText): ByteText | undefined {
  const bytes = bytesOf(path);
  try {
    if (tryReadStatus(bytes)?.kind !== 'symlink') return undefined;
    return byteTextOf(readlinkSync(Buffer.from(bytes), { encoding: 'buffer' }));
  } catch {
    // Not readable: the calls that follow will say so.
    return undefined;
  }
}

function isBelow(path: ByteText, directory: ByteText): boolean {
  return directory === '/' ? path !== '/' : path.startsWith(`${directory}/`);
}

function joined(directory: ByteText, name: ByteText): ByteText {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}
