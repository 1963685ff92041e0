import { zstdDecompressSync } from 'node:zlib';
import { fromHex, toHex } from '../../src/base/bytes.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { PlainFile, PlainTree } from './simulated-folder.ts';
import { timeOf } from './simulated-folder.ts';
import type { SimulatedStore, StoreChange } from './simulated-store.ts';

/** What a client was told about a backup that it tried. */
export type AttemptState = 'running' | 'complete' | 'partial' | 'failed';

/** One backup, and what it must give back. */
export interface Attempt {
  readonly number: number;
  readonly folder: string;
  readonly tree: PlainTree;
  state: AttemptState;
  /** Somebody decided to remove its snapshots. */
  mayVanish: boolean;
}

interface Place {
  readonly index: string;
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
  readonly isCompressed: boolean;
}

interface IndexDocument {
  readonly packs: readonly {
    readonly id: string;
    readonly blobs: readonly {
      readonly id: string;
      readonly type: string;
      readonly offset: number;
      readonly length: number;
      readonly uncompressed_length?: number;
    }[];
  }[];
}

interface TreeDocument {
  readonly nodes: readonly {
    readonly name: string;
    readonly type: string;
    readonly mtime: string;
    readonly size?: number;
    readonly content?: readonly string[] | null;
    readonly subtree?: string;
  }[];
}

interface SnapshotDocument {
  readonly tree: string;
  readonly program_version?: string;
}

interface JudgedSnapshot {
  readonly attempt: Attempt;
  /** Every blob it needs: `tree/0123…`. */
  readonly needs: ReadonlySet<string>;
}

/** A snapshot that lacks something says so behind it. */
const versionPattern = /^simulation (\d+)/;

/** What the program's version says in snapshots of an attempt: no operation changes it. */
export function versionOf(attempt: Pick<Attempt, 'number'>): string {
  return `simulation ${attempt.number}`;
}

/**
 * Knows what was backed up and looks at what is really stored, after every change: each snapshot that is visible must
 * give back exactly what its backup read, from blobs that index files name and packs hold; and one that was reported
 * complete must be there until somebody decides otherwise. Reads JSON with a decoder of its own.
 */
export class Oracle {
  readonly #store: SimulatedStore;
  readonly #repository: Repository;
  readonly #fail: (what: string) => void;
  readonly #attempts: Map<number, Attempt>;
  readonly #places = new Map<string, Place[]>();
  readonly #snapshots = new Map<string, JudgedSnapshot>();
  /** Blobs that were opened and hashed: `pack/offset/id`. */
  readonly #proven = new Set<string>();
  readonly #plain = new Map<string, Uint8Array>();
  #changes: StoreChange[] = [];
  #isAuditing = false;
  auditCount = 0;

  /** @param parts.repository opened on the files themselves */
  constructor(parts: {
    readonly store: SimulatedStore;
    readonly repository: Repository;
    readonly attempts: Map<number, Attempt>;
    readonly fail: (what: string) => void;
  }) {
    this.#store = parts.store;
    this.#repository = parts.repository;
    this.#attempts = parts.attempts;
    this.#fail = parts.fail;
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
      this.#fail(`I9: backup ${attempt.number} was called complete, but a file was unreadable`);
    }
    attempt.state = told.isClean ? 'complete' : 'partial';
    const isThere = [...this.#snapshots.values()].some((each) => each.attempt === attempt);
    if (!isThere && !attempt.mayVanish) {
      this.#fail(`I1: backup ${attempt.number} was reported, but ${told.snapshotId} is not there`);
    }
  }

  /** Somebody decided to remove a snapshot. */
  mayVanish(snapshotId: string): void {
    const judged = this.#snapshots.get(snapshotId);
    if (judged) judged.attempt.mayVanish = true;
  }

  #hear(change: StoreChange): void {
    if (change.type === 'lock' || change.type === 'key' || change.type === 'config') return;
    this.#changes.push(change);
    // Runs before anything else happens: all it does are turns of promises.
    if (!this.#isAuditing) void this.#audit();
  }

  async #audit(): Promise<void> {
    this.#isAuditing = true;
    for (let change = this.#changes.shift(); change; change = this.#changes.shift()) {
      try {
        await this.#take(change);
      } catch (error) {
        const { kind, type, name, by } = change;
        this.#fail(`after ${kind} ${type} ${name.slice(0, 8)} by ${by}: ${String(error)}`);
      }
    }
    this.#isAuditing = false;
  }

  async #take({ kind, type, name, by }: StoreChange): Promise<void> {
    this.auditCount++;
    if (kind === 'put') {
      if (type === 'index') await this.#addIndex(name);
      if (type === 'snapshot') await this.#addSnapshot(name);
      return;
    }
    if (type === 'snapshot') return this.#removeSnapshot(name, by);
    if (type === 'index') this.#removeIndex(name);
    this.#assertAvailable(`${by} removed ${type} ${name.slice(0, 8)}`);
  }

  async #addIndex(name: string): Promise<void> {
    const document = await this.#load<IndexDocument>('index', name);
    for (const { id: pack, blobs } of document.packs) {
      for (const blob of blobs) {
        const key = `${blob.type}/${blob.id}`;
        const places = this.#places.get(key) ?? [];
        this.#places.set(key, places);
        const { offset, length } = blob;
        const isCompressed = (blob.uncompressed_length ?? 0) > 0;
        places.push({ index: name, pack, offset, length, isCompressed });
      }
    }
  }

  #removeIndex(name: string): void {
    for (const [key, places] of this.#places) {
      const left = places.filter(({ index }) => index !== name);
      if (left.length < places.length) this.#places.set(key, left);
    }
  }

  async #addSnapshot(name: string): Promise<void> {
    const document = await this.#load<SnapshotDocument>('snapshot', name);
    const [, number] = versionPattern.exec(document.program_version ?? '') ?? [];
    const attempt = this.#attempts.get(Number(number));
    if (!attempt) throw new Error(`snapshot ${name} is of no backup that was tried`);
    const needs = new Set<string>();
    const found = new Map<string, string>();
    await this.#walk(document.tree, { above: '', needs, found });
    this.#compare(attempt, found);
    this.#snapshots.set(name, { attempt, needs });
  }

  #compare(attempt: Attempt, found: ReadonlyMap<string, string>): void {
    const expected = new Map<string, string>();
    for (const [path, file] of attempt.tree) {
      if (file.isReadable) expected.set(`${attempt.folder}/${path}`, printOf(file));
    }
    for (const [path, print] of expected) {
      if (found.get(path) !== print) {
        throw new Error(
          `I1: ${path} of backup ${attempt.number} is ${found.get(path)}, not ${print}`,
        );
      }
    }
    if (found.size !== expected.size) {
      throw new Error(`I1: backup ${attempt.number} holds files that were not there`);
    }
  }

  async #walk(
    tree: string,
    into: {
      readonly above: string;
      readonly needs: Set<string>;
      readonly found: Map<string, string>;
    },
  ): Promise<void> {
    const { above, needs, found } = into;
    needs.add(`tree/${tree}`);
    const json = this.#read(`tree/${tree}`);
    const { nodes } = JSON.parse(Buffer.from(json).toString()) as TreeDocument;
    for (const node of nodes) {
      const path = `${above}${node.name}`;
      if (node.subtree) await this.#walk(node.subtree, { above: `${path}/`, needs, found });
      if (node.type !== 'file') continue;
      const parts = (node.content ?? []).map((id) => {
        needs.add(`data/${id}`);
        return this.#read(`data/${id}`);
      });
      found.set(path, `${toHex(sha256(Buffer.concat(parts)))} ${node.mtime}`);
    }
  }

  #removeSnapshot(name: string, by: string): void {
    const judged = this.#snapshots.get(name);
    this.#snapshots.delete(name);
    if (!judged) return;
    const { attempt } = judged;
    const isThere = [...this.#snapshots.values()].some((each) => each.attempt === attempt);
    const isOwed = attempt.state === 'complete' || attempt.state === 'partial';
    if (!isThere && isOwed && !attempt.mayVanish) {
      throw new Error(`I3: ${by} removed the snapshot of backup ${attempt.number}`);
    }
  }

  #assertAvailable(when: string): void {
    for (const [name, { attempt, needs }] of this.#snapshots) {
      for (const key of needs) {
        if (this.#placeOf(key)) continue;
        const snapshot = `snapshot ${name.slice(0, 8)} of backup ${attempt.number}`;
        throw new Error(`I1: when ${when}, ${snapshot} lost ${key.slice(0, 13)}`);
      }
    }
  }

  /** Where a blob can be read, by index files and packs that are there now. */
  #placeOf(key: string): Place | undefined {
    return this.#places.get(key)?.find((place) => this.#isSound(key, place));
  }

  #isSound(key: string, place: Place): boolean {
    const pack = this.#store.files.get(`pack/${place.pack}`);
    if (!pack) return false;
    const proof = `${place.pack}/${place.offset}/${key}`;
    if (this.#proven.has(proof)) return true;
    const sealed = pack.subarray(place.offset, place.offset + place.length);
    const opened = this.#repository.sealer.open(sealed);
    const plain = place.isCompressed ? zstdDecompressSync(opened) : opened;
    if (toHex(sha256(plain)) !== key.slice(key.indexOf('/') + 1)) return false;
    this.#proven.add(proof);
    this.#plain.set(key, plain);
    return true;
  }

  #read(key: string): Uint8Array {
    if (!this.#placeOf(key)) throw new Error(`I1: ${key.slice(0, 13)} cannot be read`);
    const plain = this.#plain.get(key);
    if (!plain) throw new Error(`${key} was proven, but not kept`);
    return plain;
  }

  async #load<T>(type: 'index' | 'snapshot', name: string): Promise<T> {
    if (!fromHex(name)) throw new Error(`${name} is no name`);
    const json = await this.#repository.loadUnpacked(type, name);
    return JSON.parse(Buffer.from(json).toString()) as T;
  }
}

/** What is compared of a file: its content and the time of its change. */
function printOf(file: PlainFile): string {
  return `${toHex(sha256(file.bytes))} ${timeText(file.mtimeMs)}`;
}

/** As it stands in trees and snapshots. */
export function timeText(ms: number): string {
  const { seconds, nanoseconds } = timeOf(ms);
  const start = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
  return `${start}.${fraction}Z`;
}
