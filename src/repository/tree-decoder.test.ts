import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import { utcZone, zeroTime } from './time-format.ts';
import { decodeTree, iterateTree, TreeEncoder, type TreeNode } from './tree.ts';
import { fileNode } from './tree-test-support.ts';

const id = 'a1'.repeat(32);
const empty = `"type":"file","content":[]`;

function tree(...nodes: string[]): Buffer {
  return Buffer.from(`{"nodes":[${nodes.map((node) => `{${node}}`).join(',')}]}\n`);
}

function decode(...nodes: string[]): TreeNode[] {
  return decodeTree(tree(...nodes));
}

/** The only node of a tree that holds it. */
function decodeOne(node: string): TreeNode {
  const [only] = decode(node);
  if (only === undefined) throw new Error('no node');
  return only;
}

function nameOf(node: TreeNode): string {
  return Buffer.from(node.name).toString('latin1');
}

describe('decodeTree', () => {
  test('gives missing and null fields their defaults', () => {
    const nulls = 'mode mtime uid user inode size linktarget linktarget_raw extended_attributes'
      .concat(' generic_attributes device subtree error')
      .split(' ');
    const node = decodeOne(`"name":"a",${empty},${nulls.map((key) => `"${key}":null`).join(',')}`);
    expect(node).toMatchObject({
      type: 'file',
      mode: 0,
      mtime: zeroTime,
      uid: 0,
      user: '',
      inode: 0,
      deviceId: 0,
      sizeBytes: 0,
      links: 0,
      extendedAttributes: [],
      device: 0,
    });
    expect(node.linkTarget ?? node.genericAttributes ?? node.subtree ?? node.error).toBeUndefined();
    expect(node.content).toHaveLength(0);
    expect(node.invalid).toBeUndefined();
  });

  test('reads names to bytes', () => {
    const names = decode(
      `"name":"\\\\xff",${empty}`,
      `"name":"a\\\\\\"b",${empty}`,
      `"name":"\\\\u00e9\\\\101",${empty}`,
      `"name":"\u00e9\\u00e9",${empty}`,
    ).map(nameOf);
    expect(names).toEqual(['\xff', 'a"b', '\xc3\xa9A', '\xc3\xa9\xc3\xa9']);
  });

  test('keeps 64-bit numbers exact', () => {
    const node = decodeOne(
      `"name":"a",${empty},"inode":9007199254740993,"device_id":18446744073709551615,"device":1`,
    );
    expect(node).toMatchObject({ inode: 2n ** 53n + 1n, deviceId: 2n ** 64n - 1n, device: 1 });
  });

  test('prefers the raw link target, wherever it stands', () => {
    const parts = ['"linktarget":"\\ufffd"', '"linktarget_raw":"/w=="'];
    for (const order of [parts, parts.toReversed()]) {
      const node = decodeOne(`"name":"l","type":"symlink",${order.join(',')}`);
      expect(Buffer.from(node.linkTarget ?? []).toString('hex')).toBe('ff');
    }
  });

  test('takes keys in any case and order, and the last of several', () => {
    const node = decodeOne(
      `"SIZE":1,"Type":"file","content":["${id}"],"size":2,"NAME":"n",${empty}`,
    );
    expect(node).toMatchObject({ sizeBytes: 2, type: 'file' });
    expect(node.content).toHaveLength(0);
    expect(nameOf(node)).toBe('n');
  });

  test('skips unknown fields anywhere, and spaces', () => {
    const bytes = Buffer.from(
      `{"before":[{"nodes":[1]}], "nodes" : [ { "name" : "a" , "__proto__" : {"x":1} ,${empty} } ] ,` +
        '"after":null}',
    );
    const [node] = decodeTree(bytes);
    expect(node?.invalid).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  test('keeps generic attributes as written, and none for an empty object', () => {
    const node = decodeOne(`"name":"a",${empty},"generic_attributes": {"b": [1.50], "a":2}`);
    expect(Buffer.from(node.genericAttributes ?? []).toString()).toBe('{"b": [1.50], "a":2}');
    expect(
      decodeOne(`"name":"a",${empty},"generic_attributes":{ }`).genericAttributes,
    ).toBeUndefined();
  });

  test('reads attributes without a value', () => {
    const node = decodeOne(
      `"name":"a",${empty},"extended_attributes":[{"name":"user.x","value":null},{"VALUE":"AA==","y":1}]`,
    );
    expect(node.extendedAttributes.map(({ name, value }) => [name.length, value.length])).toEqual([
      [6, 0],
      [0, 1],
    ]);
  });

  test('reads more ids than it has room for at first', () => {
    const ids = Array.from({ length: 50 }, (_, i) => i.toString(16).padStart(64, '0'));
    const node = decodeOne(
      `"name":"a","type":"file","content":[${ids.map((x) => `"${x}"`).join()}]`,
    );
    expect(Buffer.from(node.content ?? []).toString('hex')).toBe(ids.join(''));
  });

  test.each([
    ['name', '1'],
    ['type', '1'],
    ['mode', '-1'],
    ['mode', '4294967296'],
    ['mtime', '1'],
    ['atime', '""'],
    ['ctime', '"yesterday"'],
    ['uid', '1.5'],
    ['gid', '"0"'],
    ['user', '[]'],
    ['group', 'true'],
    ['inode', '18446744073709551616'],
    ['device_id', '-1'],
    ['size', '"3"'],
    ['links', '1e1'],
    ['linktarget', '{}'],
    ['linktarget_raw', '"***"'],
    ['extended_attributes', '{}'],
    ['extended_attributes', '[{"value":"*"}]'],
    ['generic_attributes', '[]'],
    ['device', '{}'],
    ['content', '["a1"]'],
    ['content', `[null]`],
    ['content', `"${id}"`],
    ['subtree', '""'],
    ['error', '0'],
  ])('says that %s is damaged when it is %s', (field, value) => {
    const good = `"name":"a",${empty}`;
    expect(() => decode(good, `"${field}":${value}`)).toThrow(
      expect.objectContaining({
        code: 'TREE_DAMAGED',
        details: expect.objectContaining({ field, node: 1 }),
      }),
    );
  });

  test.each([
    '',
    'null',
    '[]',
    '{}',
    '{"nodes":null}',
    '{"nodes":{}}',
    '{"nodes":[null]}',
    '{"nodes":[]',
    '{"nodes":[]}]',
    '{"nodes":[],"nodes":[]}',
    '{"nodes":[{}',
    `{"x":${'['.repeat(100_000)}`,
  ])('refuses %.40s', (text) => {
    expect(() => decodeTree(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'TREE_DAMAGED' }),
    );
  });
});

describe('nodes that must not be used', () => {
  test.each([
    ['"name":""', 'its name is empty'],
    ['"size":1', 'its name is empty'],
    ['"name":"."', 'its name is "." or ".."'],
    ['"name":".."', 'its name is "." or ".."'],
    ['"name":"a/b"', 'its name has a slash'],
    ['"name":"/etc"', 'its name has a slash'],
    ['"name":"..\\\\x2f.."', 'its name has a slash'],
    ['"name":"a\\\\x00"', 'its name has a null byte'],
    ['"name":"\\u0000"', 'its name has a null byte'],
    ['"name":"\\\\\'"', 'its name is not quoted rightly'],
    ['"name":"a","size":18446744073709551615', 'its size is not plausible'],
    ['"name":"a","links":9007199254740992', 'its links is not plausible'],
    ['"name":"a","type":"door"', 'its type is not known: door'],
    ['"name":"a","content":null', 'it is a file without content'],
    ['"name":"a","type":"dir"', 'it is a directory without a subtree'],
  ])('%s: %s', (field, reason) => {
    const good = `"name":"z",${empty}`;
    const [first, second] = decode(`${empty},${field}`, good);
    expect(first?.invalid).toBe(reason);
    expect(second?.invalid).toBeUndefined();
  });

  test('have a type', () => {
    expect(decodeOne('"name":"a"').invalid).toBe('it has no type');
  });

  test.each(['..foo', '...', ' ', 'C:\\\\\\\\x', '\\\\n', '-rf'])('but %j is a name', (name) => {
    expect(decodeOne(`"name":"${name}",${empty}`).invalid).toBeUndefined();
  });

  test('come twice, next to each other or far apart', () => {
    const names = ['b', 'b', 'c', 'a', 'd', 'c', 'b', 'e', '\\\\x61'];
    const nodes = decode(...names.map((name) => `"name":"${name}",${empty}`));
    const marked = nodes.map((node) => (node.invalid === undefined ? '' : nameOf(node)));
    expect(marked).toEqual(['', 'b', '', '', '', 'c', 'b', '', 'a']);
    expect(nodes[1]?.invalid).toBe('its name comes twice');
  });

  test('do not take content or subtree that their type cannot have', () => {
    const node = decodeOne(`"name":"l","type":"symlink","content":["${id}"],"subtree":"${id}"`);
    expect(node.content ?? node.subtree).toBeUndefined();
    expect(node.invalid).toBeUndefined();
  });
});

describe('iterateTree', () => {
  const encoder = new TreeEncoder(utcZone);
  const count = 20_000;
  for (let i = 0; i < count; i++) encoder.add(fileNode(`file-${String(i).padStart(6, '0')}`));
  const bytes = encoder.finish();

  test('visits every node in order', () => {
    let visited = 0;
    iterateTree(bytes, (node) => {
      expect(nameOf(node)).toBe(`file-${String(visited++).padStart(6, '0')}`);
    });
    expect(visited).toBe(count);
  });

  test('stops when it is told to', () => {
    let visited = 0;
    iterateTree(bytes, () => ++visited < 3);
    expect(visited).toBe(3);
  });

  test('lets errors of the visitor through', () => {
    const error = new HoldfastError('CANCELLED');
    expect(() =>
      iterateTree(bytes, () => {
        throw error;
      }),
    ).toThrow(error);
  });

  test('gives arrays of their own, not views of the tree', () => {
    const copy = bytes.slice(0);
    const nodes = decodeTree(copy);
    copy.fill(0);
    expect(nodes.slice(0, 1).map(nameOf)).toEqual(['file-000000']);
    expect(nodes[0]?.user).toBe('root');
  });
});

describe('damage', () => {
  const stored = readFileSync(
    new URL(
      'fixtures/trees/cdc8fb0b60d9eedb2d3fe0b40214c7adae48e6942ec03f91c95e072fce49b461.json',
      import.meta.url,
    ),
  );
  const edit = fc.record({
    at: fc.nat({ max: stored.length }),
    remove: fc.nat({ max: 3 }),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom('"', '{', '}', '[', ']', ',', '\\', 'null', '-', '1e9', '..', '/')
        .map((text) => Buffer.from(text)),
    ),
  });

  test('is named or harmless', () => {
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        let bytes = stored;
        for (const { at, remove, insert } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        }
        expectNodesOrDamage(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test('by truncation is always found', () => {
    for (let length = 0; length < stored.length - 1; length++) {
      expect(() => decodeTree(stored.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'TREE_DAMAGED' }),
      );
    }
  });
});

function expectNodesOrDamage(bytes: Uint8Array): void {
  let nodes: TreeNode[];
  try {
    nodes = decodeTree(bytes);
  } catch (error) {
    expect(error).toEqual(expect.objectContaining({ code: 'TREE_DAMAGED' }));
    return;
  }
  for (const node of nodes) {
    if (node.invalid !== undefined) continue;
    const name = nameOf(node);
    expect(name).not.toMatch(/^\.{0,2}$|[/\0]/);
    expect(node.content === undefined).toBe(node.type !== 'file');
    expect(node.subtree === undefined).toBe(node.type !== 'dir');
  }
}
