import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeConfig } from '../../../src/repository/config.ts';
import { toHex } from '../../../src/base/bytes.ts';
import { HostileRepository, folderJson, nodeJson } from '../../tools/hostile-repository.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { mutateJson } from '../mutate-json.ts';
import { FuzzRandom } from '../random.ts';

/** Documents that an input may name, the trees from the bottom up. */
export const documentNames: readonly string[] = [
  'tree-0',
  'tree-1',
  'tree-2',
  'tree-3',
  'snapshot-0',
  'snapshot-1',
  'index',
  'header',
  'config',
  'key',
  'lock',
];

const dataBlobs: readonly string[] = ['the first file\n'.repeat(20), 'the second file', 'more'];

/** References are written `@d0@` (data blob) and `@t0@` (tree) until the ids are known. */
const trees: readonly string[] = [
  treeOf(
    nodeJson('b', { content: ['@d1@'], size: 15, inode: 7, links: 2 }),
    nodeJson('hard', { content: ['@d1@'], size: 15, inode: 7, links: 2 }),
    nodeJson('link', { type: 'symlink', linktarget: '../../../outside/secret', content: null }),
    nodeJson('pipe', { type: 'fifo', content: null }),
    nodeJson('x', { extended_attributes: [{ name: 'user.k', value: 'dg==' }] }),
  ),
  treeOf(nodeJson('a', { content: ['@d0@', '@d2@'], size: 304 }), folderJson('sub', '@t0@')),
  treeOf(folderJson('source', '@t1@')),
  treeOf(folderJson('gone', '@t0@'), folderJson('source', '@t1@')),
];

const snapshots: readonly string[] = [
  '{"time":"2026-01-01T00:00:00Z","tree":"@t2@","paths":["/source"],"hostname":"host","username":"user","tags":["one"],"program_version":"restic 0.19.1"}',
  '{"time":"2026-01-02T00:00:00.5+01:00","tree":"@t3@","paths":["/source"],"hostname":"host","username":"user","uid":1,"gid":2,"excludes":["*.o"],"summary":{"files_new":1,"data_added":304},"later":{"kept":[1,2]}}',
];

function treeOf(...nodes: readonly string[]): string {
  return `{"nodes":[${nodes.join(',')}]}\n`;
}

/** What an input makes of a small repository with two snapshots. */
export class HostilePlan {
  readonly #edits = new Map<string, number[]>();
  /** Ids of the snapshots, once they are stored. */
  snapshotIds: readonly string[] = [];

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [name = '', seed = '0'] = line.split(' ');
      if (!documentNames.includes(name)) continue;
      this.#edits.set(name, [...(this.#edits.get(name) ?? []), Number.parseInt(seed, 10) >>> 0]);
    }
  }

  edits(name: string): boolean {
    return this.#edits.has(name);
  }

  /** @param location of an empty repository */
  async build(location: string): Promise<void> {
    const hostile = await HostileRepository.open(location);
    const ids = new Map<string, string>();
    for (const [i, text] of dataBlobs.entries()) ids.set(`d${i}`, hostile.blob('data', text));
    for (const [i, text] of trees.entries()) {
      ids.set(`t${i}`, hostile.blob('tree', resolve(this.#edited(`tree-${i}`, text), ids)));
    }
    await hostile.store({
      header: (header) => this.#editedBytes('header', header),
      index: (json) => this.#edited('index', Buffer.from(json).toString()),
    });
    const stored: string[] = [];
    for (const [i, text] of snapshots.entries()) {
      stored.push(
        await hostile.save('snapshot', resolve(this.#edited(`snapshot-${i}`, text), ids)),
      );
    }
    this.snapshotIds = stored;
    await this.#storeRest(hostile, location);
  }

  async #storeRest(hostile: HostileRepository, location: string): Promise<void> {
    const { repository } = hostile;
    if (this.edits('lock')) {
      const lock = '{"time":"2026-01-01T00:00:00Z","exclusive":false,"hostname":"other","pid":1}';
      await hostile.save('lock', this.#edited('lock', lock));
    }
    if (this.edits('config')) {
      const json = Buffer.from(encodeConfig(repository.config)).toString();
      const sealed = repository.sealer.seal(Uint8Array.from(this.#edited('config', json)));
      rmSync(path.join(location, 'config'));
      writeFileSync(path.join(location, 'config'), sealed);
    }
    if (this.edits('key')) this.#replaceKey(path.join(location, 'keys'));
  }

  /** Key files are not sealed as a whole: whoever writes to the storage chooses what stands in them. */
  #replaceKey(folder: string): void {
    for (const name of readdirSync(folder)) {
      const bytes = this.#edited('key', readFileSync(path.join(folder, name), 'utf8'));
      rmSync(path.join(folder, name));
      const id = toHex(createHash('sha256').update(bytes).digest());
      writeFileSync(path.join(folder, id), bytes);
    }
  }

  #edited(name: string, text: string): Uint8Array {
    let bytes: Uint8Array = Buffer.from(text);
    for (const seed of this.#edits.get(name) ?? []) bytes = mutateJson(bytes, new FuzzRandom(seed));
    return bytes;
  }

  #editedBytes(name: string, source: Uint8Array): Uint8Array {
    let bytes = source;
    for (const seed of this.#edits.get(name) ?? [])
      bytes = mutateBytes(bytes, new FuzzRandom(seed));
    return bytes;
  }
}

/** Puts ids in the place of references; what is not known yet, such as a tree in itself, becomes zeros. */
function resolve(bytes: Uint8Array, ids: ReadonlyMap<string, string>): Buffer {
  const text = Buffer.from(bytes).toString('latin1');
  const resolved = text.replace(
    /@([dt]\d+)@/g,
    (_, name: string) => ids.get(name) ?? '0'.repeat(64),
  );
  return Buffer.from(resolved, 'latin1');
}
