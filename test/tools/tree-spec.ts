import {
  closeFile,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openFile,
} from '../../src/platform/files.ts';
import { symlinkAt, truncateFile, writeAt } from '../../src/platform/files.ts';
import {
  setExtendedAttribute,
  setMode,
  setOwner,
  setTimes,
} from '../../src/platform/attributes.ts';
import { makeDevice } from '../../src/platform/device.ts';
import { openDirectory, openDirectoryAt } from '../../src/platform/directory.ts';
import type { EntryPlace } from '../../src/platform/place.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { pseudoRandom } from './seeds.ts';

/** What a file holds. */
export interface ContentSpec {
  readonly kind: 'random' | 'zeros' | 'periodic' | 'text' | 'hole';
  readonly sizeBytes: number;
  readonly seed: number;
}

export interface AttributeSpec {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Metadata of any item; what is absent is left as the system makes it. */
export interface MetadataSpec {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Timestamp;
  readonly attributes?: readonly AttributeSpec[];
}

/** One item of a tree that a test makes. */
export type ItemSpec = { readonly name: Uint8Array; readonly metadata?: MetadataSpec } & (
  | { readonly type: 'directory'; readonly items: readonly ItemSpec[] }
  | { readonly type: 'file'; readonly content: ContentSpec }
  | { readonly type: 'symlink'; readonly target: Uint8Array }
  | { readonly type: 'fifo' }
  | {
      readonly type: 'character' | 'block';
      readonly device: { readonly major: number; readonly minor: number };
    }
  /** A further name of one of the files made before, by number modulo how many there are. */
  | { readonly type: 'link'; readonly of: number }
);

/** Bytes of a file. */
export function contentOf({ kind, sizeBytes, seed }: ContentSpec): Uint8Array<ArrayBuffer> {
  switch (kind) {
    case 'random':
      return pseudoRandom(sizeBytes, seed);
    case 'zeros':
    case 'hole':
      return new Uint8Array(sizeBytes);
    case 'periodic':
      return new Uint8Array(sizeBytes).fill(0).map((_, i) => (i * 7) % (251 - (seed % 100)));
    case 'text':
      return new Uint8Array(
        Buffer.alloc(sizeBytes, `line ${seed} of a text that compresses well\n`),
      );
  }
}

interface MadeFile {
  readonly path: readonly Uint8Array[];
}

/** Makes a tree in a new directory. */
export function makeTree(root: string, items: readonly ItemSpec[]): void {
  const parent = openDirectory(Buffer.from(root.slice(0, root.lastIndexOf('/')) || '/'));
  const name = Buffer.from(root.slice(root.lastIndexOf('/') + 1));
  makeDirectoryAt(parent, name, 0o755);
  const directory = openDirectoryAt(parent, name);
  closeFile(parent);
  try {
    const maker = new TreeMaker(directory);
    maker.makeItems(directory, items, []);
  } finally {
    closeFile(directory);
  }
}

class TreeMaker {
  readonly #root: number;
  readonly #files: MadeFile[] = [];

  constructor(root: number) {
    this.#root = root;
  }

  makeItems(directory: number, items: readonly ItemSpec[], above: readonly Uint8Array[]): void {
    for (const item of items) this.#make(directory, item, above);
  }

  #make(directory: number, item: ItemSpec, above: readonly Uint8Array[]): void {
    const place = { directory, name: item.name };
    if (item.type === 'link') return this.#link(place, item.of);
    if (item.type === 'directory') {
      makeDirectoryAt(directory, item.name, 0o755);
      const below = openDirectoryAt(directory, item.name);
      this.makeItems(below, item.items, [...above, item.name]);
      closeFile(below);
    } else if (item.type === 'file') {
      writeContent(place, item.content);
      this.#files.push({ path: [...above, item.name] });
    } else if (item.type === 'symlink') symlinkAt(directory, item.name, item.target);
    else if (item.type === 'fifo') makeNodeAt(directory, item.name, { kind: 'fifo', mode: 0o644 });
    else {
      const rdev = makeDevice(item.device.major, item.device.minor);
      makeNodeAt(directory, item.name, { kind: item.type, mode: 0o600, rdev });
    }
    if (item.metadata) setMetadata(place, item.metadata, item.type === 'symlink');
  }

  #link(place: EntryPlace, of: number): void {
    const file = this.#files[of % Math.max(this.#files.length, 1)];
    if (!file) return writeContent(place, { kind: 'text', sizeBytes: 10, seed: of });
    const opened: number[] = [this.#root];
    for (const name of file.path.slice(0, -1)) {
      opened.push(openDirectoryAt(opened.at(-1) ?? -1, name));
    }
    const name = file.path.at(-1) ?? new Uint8Array(0);
    linkAt({ directory: opened.at(-1) ?? -1, name }, place);
    for (const fd of opened.slice(1)) closeFile(fd);
  }
}

function writeContent(place: EntryPlace, content: ContentSpec): void {
  const fd = openFile(place, { write: true, create: true, exclusive: true, mode: 0o644 });
  try {
    if (content.kind === 'hole') truncateFile(fd, content.sizeBytes);
    else writeAt(fd, contentOf(content), 0);
  } finally {
    closeFile(fd);
  }
}

/** In the order in which nothing undoes what was set before. */
function setMetadata(place: EntryPlace, metadata: MetadataSpec, isLink: boolean): void {
  const { uid, gid, mode, attributes = [], mtime } = metadata;
  if (uid !== undefined || gid !== undefined) setOwner(place, { uid: uid ?? 0, gid: gid ?? 0 });
  if (mode !== undefined && !isLink) setMode(place, mode);
  for (const { name, value } of attributes) {
    setExtendedAttribute(place, { name: Buffer.from(name), value });
  }
  if (mtime) setTimes(place, { mtime, atime: mtime });
}
