import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { utcZone } from './time-format.ts';
import { decodeTree, TreeEncoder, type TreeNode } from './tree.ts';
import { anyNodes, fileNode } from './tree-test-support.ts';

const folder = new URL('fixtures/trees/', import.meta.url);

function encode(nodes: readonly TreeNode[]): Buffer {
  const encoder = new TreeEncoder(utcZone);
  for (const node of nodes) encoder.add(node);
  return Buffer.from(encoder.finish());
}

const zeroId = '0'.repeat(64);

describe('trees that restic wrote', () => {
  const names = readdirSync(folder);

  test('are there', () => {
    expect(names).toHaveLength(6);
  });

  test.each(names)('%s is encoded again to the same bytes', (name) => {
    const stored = readFileSync(new URL(name, folder));
    const nodes = decodeTree(stored);
    expect(nodes.filter((node) => node.invalid !== undefined)).toEqual([]);
    const again = encode(nodes);
    expect(again.toString()).toBe(stored.toString());
    expect(`${createHash('sha256').update(again).digest('hex')}.json`).toBe(name);
  });
});

describe('TreeEncoder', () => {
  test('writes an empty directory as restic does', () => {
    expect(encode([]).toString()).toBe('{"nodes":[]}\n');
  });

  test('writes every field in its place and leaves out what is zero', () => {
    const minimal = fileNode('a', {
      mode: 0,
      user: '',
      group: '',
      inode: 0n,
      deviceId: 0,
      sizeBytes: 0,
      links: 0,
      content: new Uint8Array(0),
    });
    const link = fileNode('b', {
      type: 'symlink',
      mode: 134218239,
      content: undefined,
      linkTarget: Uint8Array.of(0x3c, 0xff),
      extendedAttributes: [
        { name: Buffer.from('user.b'), value: new Uint8Array(0) },
        { name: Buffer.from('user.a'), value: Uint8Array.of(0) },
      ],
      genericAttributes: Buffer.from('{"x": 1}'),
      device: 2n ** 64n - 1n,
      error: 'a "problem"',
    });
    const time = '"2023-11-14T22:13:20.12Z"';
    const times = `"mtime":${time},"atime":${time},"ctime":${time}`;
    expect(encode([minimal, link]).toString()).toBe(
      `{"nodes":[{"name":"a","type":"file",${times},"uid":0,"gid":0,"content":[]},` +
        `{"name":"b","type":"symlink","mode":134218239,${times},"uid":0,"gid":0,"user":"root",` +
        '"group":"root","inode":1,"device_id":2,"size":3,"links":1,' +
        '"linktarget":"\\u003c\\ufffd","linktarget_raw":"PP8=","extended_attributes":' +
        '[{"name":"user.b","value":""},{"name":"user.a","value":"AA=="}],' +
        '"generic_attributes":{"x": 1},"device":18446744073709551615,"content":null,' +
        '"error":"a \\"problem\\""}]}\n',
    );
  });

  test('writes several ids and a subtree', () => {
    const file = fileNode('f', { content: new Uint8Array(64).fill(0xab, 32) });
    const folderNode = fileNode('g', {
      type: 'dir',
      content: undefined,
      subtree: new Uint8Array(32),
    });
    const text = encode([file, folderNode]).toString();
    expect(text).toContain(`"content":["${zeroId}","${'ab'.repeat(32)}"]}`);
    expect(text).toContain(`"content":null,"subtree":"${zeroId}"}`);
  });

  test('takes times of nodes from the zone unless they have an offset', () => {
    const encoder = new TreeEncoder(() => -210);
    const mtime = { seconds: 0, nanoseconds: 0 };
    encoder.add(
      fileNode('a', { mtime, atime: { ...mtime }, ctime: { ...mtime, offsetMinutes: 60 } }),
    );
    const text = Buffer.from(encoder.finish()).toString();
    expect(text).toContain(
      '"mtime":"1969-12-31T20:30:00-03:30","atime":"1969-12-31T20:30:00-03:30"',
    );
    expect(text).toContain('"ctime":"1970-01-01T01:00:00+01:00"');
  });

  test('is undone by decodeTree, for nodes of every type and names of any bytes', () => {
    fc.assert(
      fc.property(anyNodes, (nodes) => {
        const bytes = encode(nodes);
        expect(JSON.parse(bytes.toString('utf8'))).toHaveProperty('nodes');
        const decoded = decodeTree(bytes);
        expect(decoded).toHaveLength(nodes.length);
        for (const [i, node] of decoded.entries()) {
          expect(plain(node)).toEqual(plain(nodes[i] ?? node));
        }
        expect(encode(decoded).equals(bytes)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('serves one tree after the other', () => {
    const encoder = new TreeEncoder(utcZone);
    encoder.add(fileNode('z'));
    encoder.reset();
    encoder.add(fileNode('a'));
    expect(encoder.nodeCount).toBe(1);
    const first = Buffer.from(encoder.finish());
    encoder.add(fileNode('a'));
    expect(first.equals(encoder.finish())).toBe(true);
    expect(Buffer.from(encoder.finish()).toString()).toBe('{"nodes":[]}\n');
  });

  test.each<[string, string]>([
    ['b', 'a'],
    ['a', 'a'],
    ['ab', 'a'],
    // Not the order of UTF-16: U+FF5E is before U+1F600.
    ['\u{1f600}', '\uff5e'],
  ])('refuses %j before %j', (first, second) => {
    const encoder = new TreeEncoder(utcZone);
    encoder.add(fileNode(first));
    expect(() => encoder.add(fileNode(second))).toThrow('strictly increasing');
  });

  test('refuses nodes that could not be read again', () => {
    const wrong: Partial<TreeNode>[] = [
      { content: undefined },
      { content: new Uint8Array(31) },
      { type: 'fifo' },
      { type: 'dir', content: undefined },
      { type: 'dir', content: undefined, subtree: new Uint8Array(31) },
      { subtree: new Uint8Array(32) },
      { invalid: 'its name comes twice' },
      { sizeBytes: 1.5 },
    ];
    for (const more of wrong) {
      const encoder = new TreeEncoder(utcZone);
      expect(() => encoder.add(fileNode('a', more))).toThrow('internal check failed');
    }
    expect(() => encode([fileNode('')])).toThrow('strictly increasing');
    for (const name of ['a/b', 'a\0']) {
      expect(() => encode([fileNode(name)])).toThrow('a tree node has a file name');
    }
  });
});

/** A node for comparison: byte arrays of any class as hex. */
function plain(node: TreeNode): object {
  return Object.fromEntries(
    Object.entries(node)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [
        key,
        value instanceof Uint8Array ? Buffer.from(value).toString('hex') : plainAttributes(value),
      ]),
  );
}

function plainAttributes(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return (value as TreeNode['extendedAttributes']).map(
    (attribute) =>
      `${Buffer.from(attribute.name).toString('hex')}=${Buffer.from(attribute.value).toString('hex')}`,
  );
}
