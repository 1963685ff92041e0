import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backUp, initRepository, restoreLatest } from '../tools/engine.ts';
import { mountFuse } from '../tools/fuse.ts';
import { fuseContent } from '../tools/fuse-spec.ts';
import { needs, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { holdsFor, seedsOf } from '../tools/seeds.ts';

const scratch = scratchFolder('hazards');
const seeds = seedsOf('changes that a second backup sees');

/** Ways to change a file, those that keep its size and modification time among them. */
const edits: Readonly<Record<string, (file: string, seed: number) => void>> = {
  nothing: () => {},
  touch: (file) => utimesSync(file, 1000, 1000),
  append: (file, seed) => appendFileSync(file, `more ${seed}`),
  cut: (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
  'rewrite unseen': (file, seed) => {
    const { atime, mtime, size } = statSync(file);
    writeFileSync(file, Buffer.alloc(size, `other ${seed}`));
    utimesSync(file, atime, mtime);
  },
  'replace by a copy of the same age': (file, seed) => {
    const { atime, mtime, size } = statSync(file);
    writeFileSync(`${file}.new`, Buffer.alloc(size, `copy ${seed}`));
    utimesSync(`${file}.new`, atime, mtime);
    renameSync(`${file}.new`, file);
  },
  'replace in a used inode': (file, seed) => {
    const { atime, mtime, size } = statSync(file);
    rmSync(file);
    writeFileSync(file, Buffer.alloc(size, `reused ${seed}`));
    utimesSync(file, atime, mtime);
  },
  'turn back its time': (file, seed) => {
    writeFileSync(file, `old ${seed}`);
    utimesSync(file, seed, seed);
  },
};

const names = ['a', 'b', 'c', 'd'];

describe('C17: a second backup', () => {
  test.each(seeds)('never takes a changed file for the old one (seed %i)', async (seed) => {
    const edit = fc.tuple(
      fc.constantFrom(...names),
      fc.constantFrom(...Object.keys(edits)),
      fc.integer({ min: 1, max: 1_000_000 }),
    );
    const rounds = fc.array(fc.array(edit, { minLength: 1, maxLength: 4 }), {
      minLength: 2,
      maxLength: 3,
    });
    const property = fc.asyncProperty(rounds, async (allEdits) => {
      const folder = scratch.fresh('tree');
      mkdirSync(folder);
      const repository = scratch.fresh('repository');
      await initRepository(repository);
      for (const name of names) writeFileSync(`${folder}/${name}`, `content of ${name}`);
      const here = { source: { workingDirectory: folder } };
      await backUp(repository, ['.'], here);
      for (const round of allEdits) {
        for (const [name, kind, number] of round) edits[kind]?.(`${folder}/${name}`, number);
        expect((await backUp(repository, ['.'], here)).complaints).toEqual([]);
      }
      const target = scratch.fresh('restored');
      await restoreLatest(repository, target);
      for (const name of names) {
        const [is, was] = [`${target}/${name}`, `${folder}/${name}`].map((at) => readFileSync(at));
        expect(is?.equals(was ?? Buffer.alloc(0)), name).toBe(true);
      }
      for (const place of [folder, repository, target]) scratch.remove(place);
    });
    await holdsFor(property, { seed, numRuns: 2 });
  });

  requirePeer('fuse');
  test.skipIf(needs('fuse') !== '')(
    `reads again what may have changed within one step of the clock${needs('fuse')}`,
    async () => {
      const point = scratch.fresh('mount');
      // While the first backup runs, however long it took to come to it.
      const recent = { sizeBytes: 5000, changesUnseen: true, seconds: 'first asked' } as const;
      const old = { sizeBytes: 5000, changesUnseen: true };
      const mount = await mountFuse(point, { files: { recent, old } });
      try {
        const repository = scratch.fresh('repository');
        await initRepository(repository);
        const here = { source: { workingDirectory: point } };
        await backUp(repository, ['.'], here);
        const again = await backUp(repository, ['.'], here);
        expect(again.complaints).toEqual([]);
        const target = scratch.fresh('restored');
        await restoreLatest(repository, target);
        expect(readFileSync(`${target}/recent`).equals(fuseContent(5001).subarray(1))).toBe(true);
        // Nothing tells that this one has changed, and it does not look as if it might have.
        expect(readFileSync(`${target}/old`).equals(fuseContent(5000))).toBe(true);
      } finally {
        await mount.unmount();
      }
    },
  );
});
