import fc from 'fast-check';
import { chunkSizeBytesMax, chunkSizeBytesMin } from '../../src/kernels/chunker.ts';
import { namedAcl } from './acl.ts';
import { hostileNames } from './hostile-names.ts';
import type { AttributeSpec, ContentSpec, ItemSpec, MetadataSpec } from './tree-spec.ts';

/** Sizes at which chunks, packs and reads change their ways. */
const limitSizes = [chunkSizeBytesMin, chunkSizeBytesMax, 1 << 20].flatMap((size) => [
  size - 1,
  size,
  size + 1,
]);

const names: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    { weight: 4, arbitrary: fc.string({ minLength: 1, maxLength: 12 }).map(bytesOf) },
    {
      weight: 2,
      arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).map(bytesOf),
    },
    { weight: 2, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 255 }) },
    { weight: 3, arbitrary: fc.constantFrom(...hostileNames) },
  )
  .map((name) => name.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte)).subarray(0, 255))
  .filter((name) => !['', '.', '..'].includes(Buffer.from(name).toString('latin1')));

/** Instants that the official restic can restore: 1678 to 2262. */
const times = fc.record({
  seconds: fc.oneof(
    fc.integer({ min: 1_500_000_000, max: 1_800_000_000 }),
    fc.integer({ min: -9_000_000_000, max: 9_000_000_000 }),
    fc.constantFrom(-1, 0, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -(2 ** 31) - 1),
  ),
  nanoseconds: fc.oneof(
    fc.integer({ min: 0, max: 999_999_999 }),
    fc.constantFrom(0, 1, 500_000_000, 999_999_999, 123_000_000),
  ),
});

const owners = fc.constantFrom(0, 1, 1000, 65534, 2 ** 31, 2 ** 32 - 2);

const attributeName = fc
  .tuple(
    fc.constantFrom('user.', 'user.', 'trusted.'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }),
  )
  .map(([space, name]) => space + name.replaceAll('\0', '_'));

const attributes: fc.Arbitrary<AttributeSpec[]> = fc.uniqueArray(
  fc.record({
    name: attributeName,
    value: fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ minLength: 200, maxLength: 300 }),
    ),
  }),
  { maxLength: 3, selector: ({ name }) => name },
);

const acls = fc
  .tuple(fc.integer({ min: 0, max: 7 }), owners)
  .map(([permissions, id]) => namedAcl(permissions, id === 2 ** 32 - 2 ? 7 : id));

function metadata(namespaces: 'all' | 'trusted' | 'default-acl'): fc.Arbitrary<MetadataSpec> {
  return fc
    .record({
      mode: fc.oneof(fc.constantFrom(0o644, 0o755, 0o600), fc.integer({ min: 0, max: 0o7777 })),
      uid: owners,
      gid: owners,
      mtime: times,
      attributes: fc.oneof({ weight: 2, arbitrary: fc.constant<AttributeSpec[]>([]) }, attributes),
      access: fc.option(acls, { freq: 8 }),
      inherited: fc.option(acls, { freq: 8 }),
    })
    .map(({ access, inherited, ...rest }) => {
      // Links, devices and pipes have no `user` attributes and no ACL here.
      const own = rest.attributes.filter(
        ({ name }) => namespaces !== 'trusted' || name.startsWith('trusted.'),
      );
      const hasAcl = namespaces !== 'trusted' && access;
      if (hasAcl) own.push({ name: 'system.posix_acl_access', value: access });
      const isParent = namespaces === 'default-acl' && inherited;
      if (isParent) own.push({ name: 'system.posix_acl_default', value: inherited });
      return { ...rest, attributes: own };
    });
}

/** @param largeSizes also a few files about the limits of chunks, up to 9 MiB */
function contents(largeSizes: boolean): fc.Arbitrary<ContentSpec> {
  return fc.record({
    kind: fc.constantFrom<ContentSpec['kind'][]>('random', 'zeros', 'periodic', 'text', 'hole'),
    sizeBytes: fc.oneof(
      { weight: 10, arbitrary: fc.integer({ min: 0, max: 3000 }) },
      { weight: 2, arbitrary: fc.integer({ min: 3000, max: 100_000 }) },
      { weight: largeSizes ? 1 : 0, arbitrary: fc.constantFrom(...limitSizes) },
    ),
    seed: fc.integer({ min: 0, max: 1000 }),
  });
}

/** Trees of all kinds of items, with hostile names and all metadata. For root. */
export function treeArbitrary({ largeSizes = true } = {}): fc.Arbitrary<ItemSpec[]> {
  const devices = fc.record({
    major: fc.integer({ min: 0, max: 4095 }),
    minor: fc.integer({ min: 0, max: 1_048_575 }),
  });
  const { items } = fc.letrec<{ items: ItemSpec[]; item: ItemSpec }>((tie) => ({
    items: fc.uniqueArray(tie('item'), {
      maxLength: 10,
      depthIdentifier: 'tree',
      selector: ({ name }) => Buffer.from(name).toString('latin1'),
    }),
    item: fc.oneof(
      { depthIdentifier: 'tree', maxDepth: 4 },
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant('file' as const),
          name: names,
          content: contents(largeSizes),
          metadata: metadata('all'),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('symlink' as const),
          name: names,
          target: fc.oneof(names, fc.constant(Buffer.from('../..')), longTargets),
          metadata: metadata('trusted'),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constantFrom('character' as const, 'block' as const),
          name: names,
          device: devices,
          metadata: metadata('trusted'),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('fifo' as const),
          name: names,
          metadata: metadata('trusted'),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ type: fc.constant('link' as const), name: names, of: fc.nat() }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('directory' as const),
          name: names,
          items: tie('items'),
          metadata: metadata('default-acl'),
        }),
      },
    ) as fc.Arbitrary<ItemSpec>,
  }));
  return items.filter((list) => list.length > 0);
}

const longTargets = fc.integer({ min: 1, max: 4095 }).map((length) => Buffer.alloc(length, 'a/b'));

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}
