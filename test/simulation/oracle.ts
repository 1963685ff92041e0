import { toHex } from '../../src/base/bytes.ts';
import type { Sealer } from '../../src/kernels/seal.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import type { Reached } from './reach.ts';
import type { PlainFile, PlainTree } from './simulated-folder.ts';
import { timeOf } from './simulated-folder.ts';
import type { SimulatedStore, StoreChange } from './simulated-store.ts';
import { type IndexDocument, openDocument, StoredBlobs } from './stored-blobs.ts';

/** One backup, and what it must give back. */
export interface Attempt {
  readonly number: number;
  readonly folder: string;
  readonly tree: PlainTree;
  /** What was lost before must not be leaned on. */
  readonly beganMs: number;
  /** Of the other program, which leans on marked packs. */
  readonly isForeign: boolean;
  /** The process that makes it. */
  readonly by: string;
  /** Names of files that somebody has taken out of its snapshots by a rewrite. */
  readonly excluded: Set<string>;
  /** Paths of which damage at rest has taken something away, in any repository. */
  readonly harmed: Set<string>;
}

interface TreeDocument {
  readonly nodes: readonly {
    readonly name: string;
    readonly type: string;
    readonly mtime: string;
    readonly content?: readonly string[] | null;
    readonly subtree?: string;
  }[];
}

interface SnapshotDocument {
  readonly tree: string;
  readonly original?: string;
  readonly program_version?: string;
}

/** A snapshot that is there, and what it was found to be. */
export interface JudgedSnapshot {
  /** Absent for one that a recovery made of lost trees. */
  readonly attempt: Attempt | undefined;
  /** Every blob it needs, `tree/0123…`, with the paths that it takes away when it is lost: all below a folder. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
}

/** What is found below a tree. */
interface Found {
  readonly needs: Map<string, string[]>;
  /** What each file is. */
  readonly files: Map<string, string>;
  /** Beginnings of paths that cannot be told, since damage at rest took their tree away. */
  readonly unknown: string[];
}

/** A snapshot that lacks something says so behind it. */
const versionPattern = /^simulation (\d+)/;

/** What the program's version says in snapshots that a recovery made. */
export const recoveredVersion = 'simulation recovery';

/** What the program's version says in snapshots of an attempt: no operation changes it. */
export function versionOf(attempt: Pick<Attempt, 'number'>): string {
  return `simulation ${attempt.number}`;
}

/** The number of the attempt that a snapshot is of, by what its program's version says; NaN if it is of none. */
export function attemptNumberOf(version: string): number {
  return Number(versionPattern.exec(version)?.[1]);
}

/** Whose snapshot is looked through, and what is found. */
interface Leaning {
  /** When its backup began, in milliseconds of the simulation. */
  readonly sinceMs: number | undefined;
  readonly isForeign: boolean;
  readonly found: Found;
}

/** What an oracle is made of. */
export interface OracleParts {
  readonly store: SimulatedStore;
  readonly sealer: Sealer;
  readonly attempts: ReadonlyMap<number, Attempt>;
  readonly fail: (what: string) => void;
  readonly reach: (what: Reached) => void;
  /** Ends the run: what happened nobody can prevent. */
  readonly end: (why: string) => void;
}

/**
 * Knows what was backed up and looks at what is really stored, after every change: each snapshot that is visible must
 * give back exactly what its backup read, from blobs that index files name and packs hold; and one that was reported
 * complete must be there until somebody decides otherwise. Reads JSON with a decoder of its own.
 *
 * Damage at rest excuses what it took away, and nothing else.
 */
export class Oracle {
  readonly blobs: StoredBlobs;
  readonly #parts: OracleParts;
  readonly #snapshots = new Map<string, JudgedSnapshot>();
  /** Backups that were reported to be in this repository. */
  readonly #owed = new Set<Attempt>();
  /** Backups of which somebody decided to remove snapshots. */
  readonly #mayVanish = new Set<Attempt>();
  /** Ids of snapshots that somebody decided to remove. */
  readonly #given = new Set<string>();
  /** By snapshot: who listed them, and was not shown this one. */
  readonly #hidden = new Map<string, Set<string>>();
  /** Packs that a prune without room removed before index files let go of them. */
  readonly #sacrificed = new Set<string>();
  /** Blobs that damage at rest took away in some pack or index, and when it can be seen without reading: its time. */
  readonly #tainted = new Map<string, { readonly visibleSinceMs: number | undefined }>();
  #changes: StoreChange[] = [];
  #isAuditing = false;
  auditCount = 0;

  constructor(parts: OracleParts) {
    this.#parts = parts;
    this.blobs = new StoredBlobs(parts.store, parts.sealer);
    parts.store.watch = (change) => this.#hear(change);
  }

  /** Snapshots that are there, with what was backed up. */
  get snapshots(): ReadonlyMap<string, JudgedSnapshot> {
    return this.#snapshots;
  }

  /** A client was told that its backup is done. */
  reported(
    attempt: Attempt,
    told: { readonly snapshotId: string; readonly isClean: boolean },
  ): void {
    const isWhole = [...attempt.tree.values()].every(({ isReadable }) => isReadable);
    if (told.isClean && !isWhole) {
      this.#parts.fail(
        `I9: backup ${attempt.number} was called complete, but a file was unreadable`,
      );
    }
    this.#owe(attempt, told.snapshotId);
  }

  /** A client was told that a snapshot is stored here now: a copy, or one in place of another. */
  reportedStored(snapshotId: string): void {
    const judged = this.#snapshots.get(snapshotId);
    if (judged?.attempt) this.#owe(judged.attempt, snapshotId);
    // Whoever sleeps between the storing and the telling is overtaken by a forget.
    if (judged || this.#given.has(snapshotId)) return;
    this.#parts.fail(`I7: ${snapshotId} was reported, but is not there`);
  }

  /** Somebody decided to remove a snapshot. */
  mayVanish(snapshotId: string): void {
    const attempt = this.#snapshots.get(snapshotId)?.attempt;
    if (attempt) this.#mayVanish.add(attempt);
    this.#given.add(snapshotId);
  }

  /** A listing lacked a snapshot that was there, or a lock. @param what id of the snapshot, or holder of the lock */
  hid(what: string, from: string): void {
    const all = this.#hidden.get(what) ?? new Set();
    this.#hidden.set(what, all.add(from));
  }

  /** A prune that found no room removes a pack that nobody needs, to have some. */
  sacrificed(pack: string): void {
    this.#sacrificed.add(pack);
  }

  /** The other program was told that an index file is removed, and it is still there: it removes packs of it. */
  keptIndex(name: string): void {
    for (const pack of this.blobs.packsListedIn(name)) this.#sacrificed.add(pack);
  }

  /** Whether index files list a pack that was removed so. */
  get missesSacrificed(): boolean {
    return [...this.#sacrificed].some((pack) => this.#isMissedSacrifice(pack));
  }

  /** Whether a check has to tell so of such a pack. @param error what it tells */
  isOfSacrifice(error: string): boolean {
    const [, pack = ''] = /^pack ([0-9a-f]{64}): it is missing$/.exec(error) ?? [];
    return this.#isMissedSacrifice(pack);
  }

  #isMissedSacrifice(pack: string): boolean {
    const isMissing = this.#sacrificed.has(pack) && !this.#parts.store.files.has(`pack/${pack}`);
    if (!isMissing) return false;
    const keys = this.blobs.blobsIn(pack);
    const isNeeded = (key: string): boolean =>
      !this.blobs.has(key) && [...this.#snapshots.values()].some(({ needs }) => needs.has(key));
    return keys.length > 0 && !keys.some(isNeeded);
  }

  /**
   * Snapshots that cannot be given back whole, since damage at rest took something away.
   * @param how `onlyVisible`: without those of which that is known only by reading
   */
  harmedSnapshots(how: { readonly onlyVisible?: boolean } = {}): string[] {
    if (this.#tainted.size === 0) return [];
    const isLost = (key: string): boolean => {
      if (!this.#tainted.has(key) || this.blobs.has(key)) return false;
      return !how.onlyVisible || this.blobs.isVisiblyLost(key);
    };
    return [...this.#snapshots]
      .filter(([, { needs }]) => [...needs.keys()].some(isLost))
      .map(([name]) => name);
  }

  #owe(attempt: Attempt, snapshotId: string): void {
    this.#owed.add(attempt);
    if (this.#isThere(attempt) || this.#mayVanish.has(attempt)) return;
    this.#parts.fail(`I1: backup ${attempt.number} was reported, but ${snapshotId} is not there`);
  }

  #isThere(attempt: Attempt): boolean {
    for (const each of this.#snapshots.values()) if (each.attempt === attempt) return true;
    return false;
  }

  #hear(change: StoreChange): void {
    if (['lock', 'key', 'config', 'parity'].includes(change.type)) return;
    this.#changes.push(change);
    if (this.#isAuditing) return;
    this.#isAuditing = true;
    for (let next = this.#changes.shift(); next; next = this.#changes.shift()) {
      try {
        this.#take(next);
      } catch (error) {
        const { kind, type, name, by } = next;
        this.#parts.fail(`after ${kind} ${type} ${name.slice(0, 8)} by ${by}: ${String(error)}`);
      }
    }
    this.#isAuditing = false;
  }

  #take(change: StoreChange): void {
    this.auditCount++;
    const { kind, type, name, by } = change;
    if (kind === 'damage') return this.#takeDamage(change);
    if (kind === 'put') {
      if (type === 'index') this.#addIndex(name);
      if (type === 'snapshot') this.#addSnapshot(name);
      if (type === 'pack') this.blobs.addPack(name);
      return;
    }
    if (type === 'snapshot') return this.#removeSnapshot(name, by);
    if (type === 'index') {
      const marked = this.blobs.markedPacks();
      this.blobs.removeIndex(name);
      this.#lookForDroppedMarks(marked);
    }
    this.#assertAvailable(`${by} removed ${type} ${name.slice(0, 8)}`, by);
  }

  /** The storage went back to an earlier state: what is there now is all that there is. */
  rolledBack(): void {
    const { store, fail } = this.#parts;
    for (const name of this.#snapshots.keys()) this.#snapshots.delete(name);
    this.blobs.clear();
    try {
      for (const name of store.namesOf('index')) this.#addIndex(name);
      for (const name of store.namesOf('snapshot')) this.#addSnapshot(name);
    } catch (error) {
      fail(`after the storage went back: ${String(error)}`);
    }
    for (const attempt of this.#owed) if (!this.#isThere(attempt)) this.#owed.delete(attempt);
  }

  #addIndex(name: string): void {
    const document = this.#open('index', name) as IndexDocument;
    const marked = this.blobs.markedPacks();
    const keys = this.blobs.addIndex(name, document);
    if (marked.size + this.#tainted.size === 0) return;
    for (const key of keys) this.#lookAtListed(key, marked);
  }

  /** What is stored anew though a marked pack has it was avoided there; what a damaged pack should have is tainted. */
  #lookAtListed(key: string, marked: ReadonlySet<string>): void {
    const packs = this.blobs.packsOf(key);
    const hasMarked = packs.some((pack) => marked.has(pack));
    if (hasMarked && packs.some((pack) => !marked.has(pack))) this.#parts.reach('avoided');
    if (this.#tainted.size > 0 && !this.blobs.has(key) && !this.#tainted.has(key)) {
      this.#tainted.set(key, { visibleSinceMs: undefined });
    }
  }

  #lookForDroppedMarks(before: ReadonlySet<string>): void {
    const after = this.blobs.markedPacks();
    for (const pack of before) {
      const isKept = !after.has(pack) && this.#parts.store.files.has(`pack/${pack}`);
      if (isKept && this.blobs.blobsIn(pack).length > 0) this.#parts.reach('unmarked');
    }
  }

  /** A file was flipped, cut or lost at rest. */
  #takeDamage({ type, name, visibleSinceMs }: StoreChange): void {
    if (type === 'snapshot') {
      const judged = this.#snapshots.get(name);
      if (judged?.attempt) this.#mayVanish.add(judged.attempt);
      this.#snapshots.delete(name);
      if (judged) this.#parts.reach('rotted');
    }
    let keys: readonly string[] = [];
    if (type === 'index') keys = this.blobs.removeIndex(name);
    if (type === 'pack') {
      this.blobs.distrust(name);
      keys = this.blobs.blobsIn(name).filter((key) => !this.blobs.isSoundIn(name, key));
    }
    for (const key of keys) {
      // What was flipped before its index was lost is so still when a repair has listed it again.
      const known = this.#tainted.get(key);
      const isHidden = known !== undefined && known.visibleSinceMs === undefined;
      if (!isHidden) this.#tainted.set(key, { visibleSinceMs });
    }
    if (this.#noteHarm()) this.#parts.reach('rotted');
  }

  /** Remembers which paths cannot be given back now. @returns whether there are any */
  #noteHarm(): boolean {
    let isAny = false;
    for (const { attempt, needs } of this.#snapshots.values()) {
      for (const [key, paths] of needs) {
        if (!this.#tainted.has(key) || this.blobs.has(key)) continue;
        isAny = true;
        if (attempt) for (const path of paths) addBelow(attempt, path);
      }
    }
    return isAny;
  }

  #addSnapshot(name: string): void {
    const document = this.#open('snapshot', name) as SnapshotDocument;
    const version = document.program_version ?? '';
    const attempt = this.#parts.attempts.get(attemptNumberOf(version));
    const isRecovered = version.startsWith(recoveredVersion);
    if (!attempt && !isRecovered)
      throw new Error(`snapshot ${name} is of no backup that was tried`);
    const found: Found = { needs: new Map(), files: new Map(), unknown: [] };
    const isForeign = attempt?.isForeign === true;
    this.#walk(document.tree, { above: '', sinceMs: attempt?.beganMs, isForeign, found });
    this.#snapshots.set(name, { attempt, needs: found.needs });
    if (!attempt) return;
    if (found.unknown.length > 0) this.#noteHarm();
    this.#compare(attempt, found, document.original === undefined);
  }

  /** @param isFirst the snapshot is the backup's own: nobody has rewritten or repaired it */
  #compare(attempt: Attempt, { files, unknown }: Found, isFirst: boolean): void {
    const { number, excluded, harmed } = attempt;
    const isUnknown = (path: string): boolean => unknown.some((begin) => path.startsWith(begin));
    const isMissing = (name: string): boolean =>
      !isFirst && excluded.has(name) && ![...files.keys()].some((path) => nameOf(path) === name);
    let count = 0;
    for (const [below, file] of attempt.tree) {
      const path = `${attempt.folder}/${below}`;
      const print = files.get(path);
      if (print !== undefined) count++;
      if (!file.isReadable) {
        if (print !== undefined) throw new Error(`I9: ${path} of backup ${number} was unreadable`);
        continue;
      }
      if (print === printOf(file) || isUnknown(path)) continue;
      if (print === undefined && isMissing(nameOf(path))) continue;
      const isEmptied = print === undefined || print === printOf({ ...file, bytes: noBytes });
      if (!isFirst && isEmptied && harmed.has(path)) continue;
      throw new Error(`I1: ${path} of backup ${number} is ${print}, not ${printOf(file)}`);
    }
    if (files.size > count) throw new Error(`I1: backup ${number} holds files that were not there`);
  }

  #walk(tree: string, into: Leaning & { readonly above: string }): void {
    const { above, ...by } = into;
    const { found } = by;
    const json = this.#read(`tree/${tree}`, { path: above, ...by });
    if (!json) {
      found.unknown.push(above);
      return;
    }
    const { nodes } = JSON.parse(Buffer.from(json).toString()) as TreeDocument;
    for (const node of nodes) {
      const path = `${above}${node.name}`;
      if (node.subtree) this.#walk(node.subtree, { above: `${path}/`, ...by });
      if (node.type !== 'file') continue;
      const parts = (node.content ?? []).map((id) => this.#read(`data/${id}`, { path, ...by }));
      const whole = parts.filter((part) => part !== undefined);
      if (whole.length < parts.length) found.unknown.push(path);
      else found.files.set(path, `${toHex(sha256(Buffer.concat(whole)))} ${node.mtime}`);
    }
  }

  /** Undefined if damage at rest took it away, before anybody could see that who wants it. */
  #read(
    key: string,
    {
      path,
      sinceMs = Number.NEGATIVE_INFINITY,
      isForeign,
      found,
    }: Leaning & { readonly path: string },
  ): Uint8Array | undefined {
    const paths = found.needs.get(key);
    if (paths) paths.push(path);
    else found.needs.set(key, [path]);
    const plain = this.blobs.read(key);
    if (plain) return plain;
    const taint = this.#tainted.get(key);
    if (!taint && isForeign && this.blobs.packsOf(key).some((pack) => this.#sacrificed.has(pack))) {
      // It leans on whatever an index file lists, without a look at the pack.
      this.#parts.end(`the other program leans on ${key.slice(0, 13)}, which is gone`);
      return undefined;
    }
    if (!taint) throw new Error(`I1: ${key.slice(0, 13)} cannot be read`);
    const { visibleSinceMs = Number.POSITIVE_INFINITY } = taint;
    if (visibleSinceMs < sinceMs) {
      throw new Error(`I1: ${key.slice(0, 13)} was gone when the backup began that leans on it`);
    }
    return undefined;
  }

  #removeSnapshot(name: string, by: string): void {
    const { attempt, needs } = this.#snapshots.get(name) ?? {};
    this.#snapshots.delete(name);
    if (!attempt || !needs || this.#isThere(attempt)) return;
    // Of a snapshot whose root is lost, or every file, nothing can be had.
    const [root = ''] = [...needs].find(([, paths]) => paths.includes('')) ?? [];
    if (this.#tainted.has(root) && !this.blobs.has(root)) return;
    const { folder, tree, harmed } = attempt;
    if ([...tree.keys()].every((below) => harmed.has(`${folder}/${below}`))) return;
    if (this.#owed.has(attempt) && !this.#mayVanish.has(attempt)) {
      throw new Error(`I3: ${by} removed the snapshot of backup ${attempt.number}`);
    }
  }

  #assertAvailable(when: string, by: string): void {
    for (const [name, { attempt, needs }] of this.#snapshots) {
      for (const key of needs.keys()) {
        if (this.blobs.has(key) || this.#tainted.has(key)) continue;
        // The other program leans on what is marked, and storage with such listings shows its snapshot too late.
        const isHidden = (what: string): boolean => this.#hidden.get(what)?.has(by) === true;
        if (attempt?.isForeign && (isHidden(name) || isHidden(attempt.by))) {
          this.#parts.reach('foreignUnseen');
          return this.#parts.end(`${by} was not shown snapshot ${name.slice(0, 8)}`);
        }
        const snapshot = `snapshot ${name.slice(0, 8)} of backup ${attempt?.number ?? 'none'}`;
        throw new Error(`I1: when ${when}, ${snapshot} lost ${key.slice(0, 13)}`);
      }
    }
    if (this.#tainted.size > 0) this.#noteHarm();
  }

  #open(type: 'index' | 'snapshot', name: string): unknown {
    return openDocument(this.#parts.sealer, this.#parts.store.get({ type, name }));
  }
}

const noBytes = new Uint8Array(0);

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Takes a path for harmed, or all paths below a folder (`one/two/`, or empty for all). */
function addBelow({ folder, tree, harmed }: Attempt, path: string): void {
  if (path !== '' && !path.endsWith('/')) {
    harmed.add(path);
    return;
  }
  for (const below of tree.keys()) {
    const full = `${folder}/${below}`;
    if (full.startsWith(path)) harmed.add(full);
  }
}

/** What is compared of a file: its content and the time of its change. */
function printOf(file: Pick<PlainFile, 'bytes' | 'mtimeMs'>): string {
  return `${printOfBytes(file.bytes)} ${timeText(file.mtimeMs)}`;
}

const prints = new WeakMap<Uint8Array, string>();

/** Contents are few, and the same for all files that have them. */
function printOfBytes(bytes: Uint8Array): string {
  const known = prints.get(bytes) ?? toHex(sha256(bytes));
  prints.set(bytes, known);
  return known;
}

/** As it stands in trees and snapshots. */
export function timeText(ms: number): string {
  const { seconds, nanoseconds } = timeOf(ms);
  const start = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
  return `${start}.${fraction}Z`;
}
