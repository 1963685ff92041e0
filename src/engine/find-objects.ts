import { toHex } from '../base/bytes.ts';
import { endsWork } from '../base/errors.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import { readPackHeader } from '../repository/pack.ts';
import type { ByteRange } from '../storage/backend.ts';
import { contentIds } from './trees/blob-marks.ts';
import type { EngineContext } from './context.ts';
import { type TreeVisitor, walkTree } from './trees/walk-paths.ts';

/** A use of an object that was searched for. */
export interface FoundObject {
  readonly type: 'blob' | 'tree';
  /** Hex. */
  readonly id: string;
  /** The file that uses the blob, or the folder that the tree is. */
  readonly path: Uint8Array;
  /** The tree that lists the file; for blobs only. */
  readonly parentTree?: Uint8Array;
}

/** Ids that are searched for, each whole or the beginning of one. */
export class IdSet {
  readonly #whole: Set<string>;
  readonly #prefixes: readonly string[];

  constructor(ids: Iterable<string>) {
    const all = [...ids].map((id) => id.toLowerCase());
    this.#whole = new Set(all.filter((id) => id.length === 64));
    this.#prefixes = all.filter((id) => id.length < 64);
  }

  get isEmpty(): boolean {
    return this.#whole.size === 0 && this.#prefixes.length === 0;
  }

  has(id: string): boolean {
    return this.#whole.has(id) || this.#prefixes.some((prefix) => id.startsWith(prefix));
  }
}

/** What is searched for, blobs of files and trees apart: an id may be of either. */
export interface ObjectQuery {
  readonly blobs: IdSet;
  readonly trees: IdSet;
}

const root = Uint8Array.of(0x2f);

/** Walks one snapshot for uses of blobs and trees, and tells each. @param tree its root */
export async function findObjects(
  indexed: IndexedRepository,
  tree: Uint8Array,
  query: { readonly ids: ObjectQuery; onFound(found: FoundObject): void },
  context: EngineContext,
): Promise<void> {
  const { ids } = query;
  const visitor: TreeVisitor = {
    enter(path, folderTree) {
      const id = ids.trees.isEmpty ? '' : toHex(folderTree);
      if (id !== '' && ids.trees.has(id)) {
        query.onFound({ type: 'tree', id, path: path.byteLength === 0 ? root : path });
      }
      return true;
    },
    node({ path, node, parentTree }) {
      if (ids.blobs.isEmpty) return;
      for (const blob of contentIds(node)) {
        const id = toHex(blob);
        if (ids.blobs.has(id)) query.onFound({ type: 'blob', id, path, parentTree });
      }
    },
  };
  await walkTree(indexed, tree, visitor, context);
}

/** Blobs of packs, and the packs that were asked for but are nowhere. */
export interface PackContents extends ObjectQuery {
  readonly missing: readonly string[];
}

/**
 * The blobs of all packs whose id begins with one of `prefixes`, in the index or in the storage: of a pack that no index
 * names its own header tells them. One whose header cannot be read is a problem, and left out.
 */
export async function blobsOfPacks(
  { index, repository }: IndexedRepository,
  prefixes: readonly string[],
  { signal, monitor }: EngineContext,
): Promise<PackContents> {
  const wanted = new Map(prefixes.map((prefix) => [prefix.toLowerCase(), false]));
  const isWanted = (id: string): boolean => {
    const found = [...wanted.keys()].filter((prefix) => id.startsWith(prefix));
    for (const prefix of found) wanted.set(prefix, true);
    return found.length > 0;
  };
  const packs = new Set<number>();
  for (let pack = 0; pack < index.packCount; pack++) {
    if (isWanted(toHex(index.packId(pack)))) packs.add(pack);
  }
  const ids = { data: new Set<string>(), tree: new Set<string>() };
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (packs.has(index.packOf(entry))) ids[index.typeOf(entry)].add(toHex(index.idOf(entry)));
  }
  const known = new Set(Array.from(packs, (pack) => toHex(index.packId(pack))));
  for await (const { name, sizeBytes } of repository.backend.list('pack', { signal })) {
    if (known.has(name) || !isWanted(name)) continue;
    try {
      const get = (range: ByteRange): Promise<Uint8Array> =>
        repository.backend.get({ type: 'pack', name }, range, { signal });
      const header = await readPackHeader(get, sizeBytes, repository.sealer);
      for (const { type, id } of header) ids[type].add(toHex(id));
    } catch (error) {
      if (endsWork(error)) throw error;
      monitor.problem({ item: `pack ${name}`, during: 'scan', error });
    }
  }
  const missing = [...wanted].filter(([, isFound]) => !isFound).map(([prefix]) => prefix);
  return { blobs: new IdSet(ids.data), trees: new IdSet(ids.tree), missing };
}
