import { chunkSizeBytesMax, chunkSizeBytesMin } from '../../src/kernels/chunker.ts';
import { namedAcl } from './acl.ts';
import { hostileNames } from './hostile-names.ts';
import type { ItemSpec } from './tree-spec.ts';

/** Above this size a file is cut by several threads. */
const largeSizeBytes = 50 << 20;

/** One tree with everything in it that has broken backup programs: for root. */
export function hazardTree(): ItemSpec[] {
  return [directory('sizes', sizedFiles()), ...smallHazardTree()];
}

/** The same with little content: what compression and packs make of it all the same. */
export function modestHazardTree(): ItemSpec[] {
  return [directory('sizes', modestFiles()), ...smallHazardTree()];
}

/** The same without what is large. @param options what the file system allows */
export function smallHazardTree({ symlinkBytesMax = 4095, minorMax = 1_048_575 } = {}): ItemSpec[] {
  return [
    directory('names', hostileNames.map(namedFile)),
    directory('deep names', [
      directory(Buffer.alloc(255, 0xc3), hostileNames.slice(0, 10).map(emptyDirectory)),
    ]),
    directory('links', linkedFiles()),
    directory('symlinks', symlinks(symlinkBytesMax)),
    directory('special', specialFiles(minorMax)),
    directory('attributes', attributedFiles()),
    directory('times', timedFiles()),
    directory('modes', moddedFiles()),
  ];
}

function directory(name: string | Uint8Array, items: readonly ItemSpec[]): ItemSpec {
  return { type: 'directory', name: Buffer.from(name), items };
}

function emptyDirectory(name: Uint8Array): ItemSpec {
  return { type: 'directory', name, items: [] };
}

function namedFile(name: Uint8Array, i: number): ItemSpec {
  return { type: 'file', name, content: { kind: 'text', sizeBytes: 10 + i, seed: i } };
}

function file(name: string, sizeBytes: number, more: Partial<ItemSpec> = {}): ItemSpec {
  const content = { kind: 'random', sizeBytes, seed: sizeBytes % 1000 } as const;
  return { type: 'file', name: Buffer.from(name), content, ...more } as ItemSpec;
}

function sizedFiles(): ItemSpec[] {
  const random = [0, 1, ...about(chunkSizeBytesMin), ...about(1 << 20), largeSizeBytes];
  // Text that repeats has no place for a cut: its chunks are as large as they may be.
  const repeating = [...about(chunkSizeBytesMax), ...about(2 * chunkSizeBytesMax)];
  const kinds = ['hole', 'periodic', 'text', 'zeros'] as const;
  return [
    ...random.map((size) => file(`random ${size}`, size)),
    ...repeating.map((size) => ofKind('text', size)),
    ...kinds.map((kind) => ofKind(kind, largeSizeBytes + 12_345)),
  ];
}

function modestFiles(): ItemSpec[] {
  const random = [0, 1, ...about(chunkSizeBytesMin), 5 << 20];
  const kinds = ['hole', 'periodic', 'text', 'zeros'] as const;
  return [
    ...random.map((size) => file(`random ${size}`, size)),
    ofKind('text', chunkSizeBytesMax + 1),
    ...kinds.map((kind) => ofKind(kind, 1_500_000)),
  ];
}

function about(size: number): number[] {
  return [size - 1, size, size + 1];
}

function ofKind(kind: 'hole' | 'periodic' | 'text' | 'zeros', sizeBytes: number): ItemSpec {
  const content = { kind, sizeBytes, seed: 1 };
  return { type: 'file', name: Buffer.from(`${kind} ${sizeBytes}`), content };
}

function linkedFiles(): ItemSpec[] {
  const further = Array.from({ length: 20 }, (_, i): ItemSpec => {
    return { type: 'link', name: Buffer.from(`further ${i}`), of: 0 };
  });
  // `of` counts all files of the tree: this makes the links lead elsewhere, too.
  return [file('first', 5000), ...further];
}

function symlinks(bytesMax: number): ItemSpec[] {
  const targets = ['dangling', '/absolute', '.', '..', 'loop', 'x'.repeat(bytesMax), '\n', ' '];
  const all = [...targets.map((target) => Buffer.from(target)), Uint8Array.from([0xff, 0x80])];
  return all.map((target, i): ItemSpec => {
    const name = i === 4 ? 'loop' : `symlink ${i}`;
    return { type: 'symlink', name: Buffer.from(name), target };
  });
}

function specialFiles(minorMax: number): ItemSpec[] {
  return [
    { type: 'fifo', name: Buffer.from('fifo'), metadata: { mode: 0o640, uid: 3, gid: 4 } },
    { type: 'character', name: Buffer.from('null'), device: { major: 1, minor: 3 } },
    { type: 'character', name: Buffer.from('whiteout'), device: { major: 0, minor: 0 } },
    { type: 'block', name: Buffer.from('disk'), device: { major: 8, minor: 0 } },
    { type: 'block', name: Buffer.from('far'), device: { major: 511, minor: minorMax } },
  ];
}

function attributedFiles(): ItemSpec[] {
  const acl = namedAcl(5, 1234);
  const many = Array.from({ length: 40 }, (_, i) => ({
    name: `user.number ${i}`,
    value: Uint8Array.from([i, 0, 255]),
  }));
  return [
    file('many', 1, { metadata: { attributes: many } }),
    file('empty value', 1, {
      metadata: { attributes: [{ name: 'user.empty', value: new Uint8Array(0) }] },
    }),
    file('trusted', 1, {
      metadata: { attributes: [{ name: 'trusted.t', value: new Uint8Array(1000) }] },
    }),
    file('acl', 1, { metadata: { attributes: [{ name: 'system.posix_acl_access', value: acl }] } }),
    {
      type: 'directory',
      name: Buffer.from('inherits'),
      // Made before the directory has its default ACL: they have none.
      items: [file('plain', 1), emptyDirectory(Buffer.from('below'))],
      metadata: {
        attributes: [
          { name: 'system.posix_acl_access', value: acl },
          { name: 'system.posix_acl_default', value: acl },
        ],
      },
    },
  ];
}

function timedFiles(): ItemSpec[] {
  const times = [-1.5, 0, 1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, -9e9, 9e9];
  return times.map((seconds, i): ItemSpec => {
    const mtime = { seconds: Math.floor(seconds), nanoseconds: 500_000_001 - i };
    const metadata = { mtime };
    return i % 2 === 0
      ? file(`time ${i}`, i, { metadata })
      : { type: 'directory', name: Buffer.from(`time ${i}`), items: [], metadata };
  });
}

function moddedFiles(): ItemSpec[] {
  const modes = [0, 0o777, 0o4755, 0o2755, 0o6711, 0o1777, 0o7777];
  return modes.flatMap((mode): ItemSpec[] => [
    file(`file ${mode.toString(8)}`, 3, { metadata: { mode, uid: 2 ** 32 - 2, gid: 1 } }),
    {
      type: 'directory',
      name: Buffer.from(`folder ${mode.toString(8)}`),
      items: [],
      metadata: { mode, uid: 1, gid: 2 ** 32 - 2 },
    },
  ]);
}
