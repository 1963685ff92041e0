import { sha256 } from '../../src/kernels/sha256.ts';
import { toHex } from '../../src/base/bytes.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { timestampFromNs, type Timestamp } from '../../src/base/timestamp.ts';
import type { FileStatus } from '../../src/platform/status.ts';
import type {
  FarFile,
  FarPart,
  ListedRequest,
  Source,
  SourceEntry,
  SourceListing,
} from '../../src/sources/source.ts';
import { pseudoRandom } from '../tools/seeds.ts';
import type { Seeded } from './seeded.ts';

/** A file as it is at one moment. */
export interface PlainFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mtimeMs: number;
  readonly inode: number;
  readonly isReadable: boolean;
}

/** What a folder holds at one moment, by path (`one/two`): never changed. */
export type PlainTree = ReadonlyMap<string, PlainFile>;

/** Contents that files of all clients have: few, so that what was forgotten comes again and others have it too. */
const contentCount = 60;
const contentSizeBytesMax = 4_000;
const folderNames = ['a', 'b', 'c'];
const fileCountMax = 24;

/** A folder of a client's machine that changes from time to time. */
export class SimulatedFolder {
  readonly #random: Seeded;
  readonly #files = new Map<string, PlainFile>();
  #lastInode = 10;

  constructor(random: Seeded) {
    this.#random = random;
  }

  /** Some files are made, changed, or removed. */
  change(nowMs: number): void {
    const count = this.#files.size === 0 ? 6 : this.#random.below(6);
    for (let i = 0; i < count; i++) this.#changeOne(nowMs);
    if (this.#files.size === 0) this.#changeOne(nowMs);
  }

  /** What is there now. */
  state(): PlainTree {
    return new Map(this.#files);
  }

  #changeOne(nowMs: number): void {
    const random = this.#random;
    const known = [...this.#files.keys()];
    if (known.length >= fileCountMax || (known.length > 3 && random.oneIn(3))) {
      this.#files.delete(random.pick(known));
      return;
    }
    const path = known.length > 0 && random.oneIn(2) ? random.pick(known) : this.#newPath();
    const { inode = ++this.#lastInode } = this.#files.get(path) ?? {};
    const bytes = contentOf(random.below(contentCount));
    const isReadable = !random.oneIn(150);
    this.#files.set(path, { bytes, mtimeMs: nowMs, inode, isReadable });
  }

  #newPath(): string {
    const depth = this.#random.below(3);
    const folders = Array.from({ length: depth }, () => this.#random.pick(folderNames));
    return [...folders, `f${this.#random.below(30)}`].join('/');
  }
}

const contents = new Map<number, Uint8Array<ArrayBuffer>>();

/** Content number `number`: half of it compresses well. */
function contentOf(number: number): Uint8Array<ArrayBuffer> {
  const known = contents.get(number);
  if (known) return known;
  const sizeBytes = number < 2 ? number : 200 + ((number * 7919) % contentSizeBytesMax);
  const bytes = pseudoRandom(sizeBytes, number + 1);
  bytes.fill(number, 0, sizeBytes >> 1);
  contents.set(number, bytes);
  return bytes;
}

/** A state of a folder as a source. Its files are read as those of far file systems are: through the source. */
export class PlainSource implements Source {
  readonly paths: readonly string[];
  readonly excludes: readonly string[] = [];
  readonly #name: string;
  readonly #tree: PlainTree;

  /** @param name of the folder below `/`, one component */
  constructor(name: string, tree: PlainTree) {
    this.#name = name;
    this.#tree = tree;
    this.paths = [`/${name}`];
  }

  root(): SourceListing {
    return listing([directoryEntry('', this.#name)]);
  }

  list(entry: SourceEntry): SourceListing {
    const path = Buffer.from(entry.path).toString();
    const folder = path.slice(1 + this.#name.length + 1);
    const below = folder === '' ? '' : `${folder}/`;
    const entries = new Map<string, SourceEntry>();
    for (const [filePath, file] of this.#tree) {
      if (!filePath.startsWith(below)) continue;
      const [name = '', ...rest] = filePath.slice(below.length).split('/');
      if (rest.length > 0) entries.set(name, directoryEntry(`${path}/`, name));
      else entries.set(name, new PlainEntry(`${path}/`, name, fileStatus(file)));
    }
    return listing([...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each));
  }

  isFar(): boolean {
    return true;
  }

  async openFar(request: ListedRequest): Promise<FarFile> {
    const path = Buffer.from(request.path).toString();
    const file = this.#tree.get(path.slice(1 + this.#name.length + 1));
    if (!file?.isReadable) throw new HoldfastError('SOURCE_FAILED', { message: 'unreadable' });
    const status = fileStatus(file);
    const read = (position: number): FarPart => {
      return { bytes: file.bytes.slice(position), atEnd: true, status };
    };
    return {
      status,
      first: read(0),
      read: async ({ position }) => read(position),
      attributes: async () => [],
      close: () => undefined,
    };
  }
}

class PlainEntry implements SourceEntry {
  readonly name: Uint8Array;
  readonly path: Uint8Array;
  readonly status: FileStatus;
  readonly extendedAttributes = [];

  constructor(above: string, name: string, status: FileStatus) {
    this.name = Buffer.from(name);
    this.path = Buffer.from(`${above || '/'}${name}`);
    this.status = status;
  }
}

function listing(entries: readonly SourceEntry[]): SourceListing {
  return { entries, problems: [], complete: true, vanished: [] };
}

function directoryEntry(above: string, name: string): SourceEntry {
  const inode = Number.parseInt(toHex(sha256(Buffer.from(above + name))).slice(0, 8), 16);
  return new PlainEntry(
    above,
    name,
    statusOf({ kind: 'directory', inode, mtimeMs: 0, sizeBytes: 0 }),
  );
}

function fileStatus({ inode, mtimeMs, bytes }: PlainFile): FileStatus {
  return statusOf({ kind: 'file', inode, mtimeMs, sizeBytes: bytes.byteLength });
}

function statusOf(parts: {
  readonly kind: 'file' | 'directory';
  readonly inode: number;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
}): FileStatus {
  const time = timeOf(parts.mtimeMs);
  return {
    kind: parts.kind,
    mode: parts.kind === 'file' ? 0o644 : 0o755,
    uid: 0,
    gid: 0,
    links: 1,
    inode: parts.inode,
    device: 1,
    rdev: 0,
    sizeBytes: parts.sizeBytes,
    blocks: Math.ceil(parts.sizeBytes / 512),
    mtime: time,
    atime: time,
    ctime: time,
  };
}

/** When a file was changed, with nanoseconds that a rounding would lose. */
export function timeOf(ms: number): Timestamp {
  return timestampFromNs(BigInt(Math.floor(ms)) * 1_000_000n + 123_456n);
}
