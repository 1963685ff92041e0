import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { systemEnvironment } from '../../src/base/environment.ts';
import { SourceWalk } from '../../src/engine/backup.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import { openFileSource } from '../../src/sources/files/open-file-source.ts';
import type { MountCalls } from '../../src/sources/files/mount-watch.ts';
import type { Source, SourceEntry, SourceListing } from '../../src/sources/source.ts';
import {
  backUp,
  backUpSource,
  checkAll,
  initRepository,
  restoreLatest,
  type TestBackup,
  withIndex,
} from '../tools/engine.ts';
import { type FuseMount, mountFuse } from '../tools/fuse.ts';
import { fuseContent, type FuseFile } from '../tools/fuse-spec.ts';
import { describeNeeding, needs } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('hazards');
const { EACCES, EBADMSG, EIO } = constants.errno;
const mounts: FuseMount[] = [];

afterEach(async () => {
  for (const mount of mounts.splice(0)) await mount.unmount();
});

/** Near: as files of a disk, by threads of the program. Far: by processes of their own, as all that may hang. */
const ways = ['near', 'far'] as const;
type Way = (typeof ways)[number];

/** Takes every file system for a disk. */
const noMounts: MountCalls = { list: () => [], probe: () => Promise.resolve(true) };

/** Backs up files that misbehave, and restores what was stored. */
async function backUpFuse(
  way: Way,
  files: Readonly<Record<string, FuseFile>>,
): Promise<{ backup: TestBackup; restored: string; repository: string }> {
  const point = scratch.fresh('mount');
  mounts.push(await mountFuse(point, { files }));
  const repository = scratch.fresh('repository');
  await initRepository(repository);
  const source = { workingDirectory: point, ...(way === 'near' ? { mounts: noMounts } : {}) };
  const backup = await backUp(repository, ['.'], { source });
  expect((await checkAll(repository)).errors).toEqual([]);
  const restored = scratch.fresh('restored');
  expect((await restoreLatest(repository, restored)).complaints).toEqual([]);
  return { backup, restored, repository };
}

/** The problems, without the folder that differs from run to run. */
function complaintsOf(backup: TestBackup): string[] {
  return backup.complaints.map((line) => line.replaceAll(/\/\S*?\/mount-\d+\//g, ''));
}

const changing =
  'it changed while it was being read, three times over: the stored content may mix states';

describeNeeding('fuse').each(ways)(
  `C1: a file (%s) that changes while it is read${needs('fuse')}`,
  (way) => {
    test('once or twice is read again, and is no problem', async () => {
      const once = { sizeBytes: 700_000, changingReads: 1, growsBy: 10 };
      const twice = { sizeBytes: 900_000, changingReads: 2, growsBy: -10 };
      const { backup, restored } = await backUpFuse(way, { once, twice, quiet: { sizeBytes: 5 } });
      expect(backup.complaints).toEqual([]);
      expect(backup.exitCode).toBe(0);
      expect(readFileSync(`${restored}/once`).byteLength).toBeGreaterThan(700_000);
      expect(readFileSync(`${restored}/twice`).byteLength).toBeLessThan(900_000);
    });

    test('all the time is stored and named', async () => {
      const files = {
        rewritten: { sizeBytes: 700_000, changingReads: 99 },
        growing: { sizeBytes: 700_000, changingReads: 99, growsBy: 1000 },
        shrinking: { sizeBytes: 700_000, changingReads: 99, growsBy: -1000 },
        quiet: { sizeBytes: 700_000 },
      };
      const { backup, restored } = await backUpFuse(way, files);
      expect(backup.exitCode).toBe(3);
      expect(complaintsOf(backup)).toEqual(
        ['growing', 'rewritten', 'shrinking'].map((name) => `${name}: ${changing}`),
      );
      for (const name of Object.keys(files)) {
        const content = readFileSync(`${restored}/${name}`);
        expect(content.equals(fuseContent(content.byteLength))).toBe(true);
        expect(content.byteLength).toBeGreaterThan(500_000);
      }
    });

    // What is far is read by one process, whatever its size.
    test.runIf(way === 'near')('all the time is named, when several threads read it', async () => {
      const sizeBytes = 49 << 20;
      const files = {
        growing: { sizeBytes, changingReads: 99, growsBy: 1_000_000 },
        shrinking: { sizeBytes, changingReads: 99, growsBy: -1_000_000 },
      };
      const { backup, restored } = await backUpFuse(way, files);
      expect(complaintsOf(backup)).toEqual(
        ['growing', 'shrinking'].map((name) => `${name}: ${changing}`),
      );
      expect(statSync(`${restored}/growing`).size).toBeGreaterThanOrEqual(sizeBytes);
      expect(statSync(`${restored}/shrinking`).size).toBeLessThan(sizeBytes);
    });

    test('never is fine, also if its size is not what it says', async () => {
      const files = {
        more: { sizeBytes: 0, contentBytes: 3_000_000 },
        less: { sizeBytes: 4096, contentBytes: 17 },
        none: { sizeBytes: 4096, contentBytes: 0 },
      };
      const { backup, restored } = await backUpFuse(way, files);
      expect(backup.complaints).toEqual([]);
      for (const [name, { contentBytes }] of Object.entries(files)) {
        expect(readFileSync(`${restored}/${name}`).equals(fuseContent(contentBytes))).toBe(true);
      }
    });

    test('ends although the file does not', async () => {
      const { backup } = await backUpFuse(way, {
        endless: { sizeBytes: 1, contentBytes: 'endless' },
      });
      expect(complaintsOf(backup)).toEqual([`endless: ${changing}`]);
    });
  },
);

describe('C1: a file that another process writes at full speed', () => {
  test.each(['append', 'rewrite'])('(%s) is stored, or named', async (how) => {
    const folder = scratch.fresh('written');
    mkdirSync(folder);
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const writer = spawn(process.execPath, ['-e', writers[how] ?? '', `${folder}/file`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    try {
      for (let run = 0; run < 2; run++) {
        const backup = await backUp(repository, ['.'], { source: { workingDirectory: folder } });
        expect([[], [`${folder}/file: ${changing}`]]).toContainEqual(backup.complaints);
      }
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'close');
    }
    expect((await checkAll(repository)).errors).toEqual([]);
    const { complaints } = await backUp(repository, ['.'], {
      source: { workingDirectory: folder },
    });
    expect(complaints).toEqual([]);
    const restored = scratch.fresh('restored');
    await restoreLatest(repository, restored);
    expect(readFileSync(`${restored}/file`).equals(readFileSync(`${folder}/file`))).toBe(true);
    for (const place of [folder, restored, repository]) scratch.remove(place);
  });
});

/** Programs that never rest; the file stays below 200 MB. */
const writers: Readonly<Record<string, string>> = {
  append: `
    const { openSync, writeSync, ftruncateSync } = require('node:fs');
    const fd = openSync(process.argv[1], 'a');
    const part = Buffer.alloc(1 << 20);
    for (let i = 0; ; i++) {
      if (i % 100 === 0) ftruncateSync(fd, 0);
      writeSync(fd, part.fill(i));
      if (i === 0) console.log('started');
    }`,
  rewrite: `
    const { openSync, writeSync } = require('node:fs');
    const fd = openSync(process.argv[1], 'w');
    const part = Buffer.alloc(1 << 16);
    for (let i = 0; ; i++) {
      writeSync(fd, part.fill(i), 0, part.length, (i % 64) * part.length);
      if (i === 0) console.log('started');
    }`,
};

/** A source of real files; `meanwhile` happens after the directory `name` was listed. */
class DisturbedSource implements Source {
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  readonly #inner: Source;
  readonly #meanwhile: (name: string) => void;

  constructor(inner: Source, meanwhile: (name: string) => void) {
    this.paths = inner.paths;
    this.excludes = inner.excludes;
    this.#inner = inner;
    this.#meanwhile = meanwhile;
  }

  root(): SourceListing {
    return this.#inner.root();
  }

  list(entry: SourceEntry): SourceListing {
    const listing = this.#inner.list(entry);
    this.#meanwhile(Buffer.from(entry.name).toString());
    return listing;
  }
}

async function backUpDisturbed(
  folder: string,
  meanwhile: (name: string) => void,
): Promise<{ backup: TestBackup; restored: string }> {
  const inner = await openFileSource([folder], { environment: systemEnvironment });
  const walk = new SourceWalk(new DisturbedSource(inner, meanwhile), systemEnvironment.clock);
  const repository = scratch.fresh('repository');
  await initRepository(repository);
  const backup = await backUpSource(repository, walk);
  const restored = scratch.fresh('restored');
  await restoreLatest(repository, restored);
  return { backup, restored: restored + folder };
}

describe('C2: what vanishes while it is backed up', () => {
  test('is named; the rest is stored', async () => {
    const folder = scratch.fresh('vanishing');
    mkdirSync(`${folder}/below`, { recursive: true });
    for (const name of ['a', 'b', 'below/c']) writeFileSync(`${folder}/${name}`, name);
    const { backup, restored } = await backUpDisturbed(folder, (name) => {
      if (!folder.endsWith(name)) return;
      rmSync(`${folder}/a`);
      rmSync(`${folder}/below`, { recursive: true });
    });
    expect(backup.complaints).toEqual([
      `${folder}/a: it vanished while it was being backed up`,
      `${folder}/below: it vanished while it was being backed up`,
    ]);
    expect(backup.exitCode).toBe(3);
    expect(readFileSync(`${restored}/b`, 'utf8')).toBe('b');
    expect(() => statSync(`${restored}/a`)).toThrow('ENOENT');
    expect(() => statSync(`${restored}/below`)).toThrow('ENOENT');
  });
});

describe('C3: what is replaced by something else', () => {
  test('is never followed and never waited for', async () => {
    const folder = scratch.fresh('replaced');
    const secret = scratch.fresh('secret');
    mkdirSync(`${folder}/inner`, { recursive: true });
    mkdirSync(secret);
    writeFileSync(`${secret}/file`, 'secret');
    for (const name of ['link', 'pipe', 'folder', 'inner/file']) {
      writeFileSync(`${folder}/${name}`, 'public');
    }
    const { backup, restored } = await backUpDisturbed(folder, (name) => {
      if (!folder.endsWith(name)) return;
      for (const each of ['link', 'pipe', 'folder', 'inner']) {
        rmSync(`${folder}/${each}`, { recursive: true });
      }
      symlinkSync(`${secret}/file`, `${folder}/link`);
      symlinkSync(secret, `${folder}/inner`);
      mkdirSync(`${folder}/folder`);
      execFileSync('mkfifo', [`${folder}/pipe`]);
    });
    expect(backup.exitCode).toBe(3);
    expect(backup.complaints).toHaveLength(4);
    for (const name of ['link', 'pipe', 'folder', 'inner']) {
      expect(() => statSync(`${restored}/${name}`)).toThrow('ENOENT');
    }
  });

  test('is what it was at one moment, whoever swaps it meanwhile', async () => {
    const folder = scratch.fresh('swapped');
    const secret = scratch.fresh('secret');
    mkdirSync(folder);
    mkdirSync(secret);
    const secretText = 'secret that nobody asked to be stored';
    writeFileSync(`${secret}/file`, secretText);
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const child = fileURLToPath(new URL('./swap-child.ts', import.meta.url));
    const swapper = spawn(process.execPath, [child, folder, secret], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(swapper.stdout, 'data');
    let swaps = 0;
    swapper.stdout.on('data', (text: Buffer) => {
      swaps = Number(text.toString().trim().split('\n').at(-1));
    });
    const kinds = new Set<string>();
    try {
      for (let run = 0; run < 4; run++) {
        const { problems } = await backUp(repository, ['.'], {
          source: { workingDirectory: folder },
          options: { force: true },
        });
        for (const { error } of problems) kinds.add(String((error as { code: unknown }).code));
      }
    } finally {
      swapper.kill('SIGKILL');
      await once(swapper, 'close');
    }
    expect(swaps).toBeGreaterThan(200);
    for (const kind of kinds) expect(['SOURCE_FAILED', 'FILE_NOT_FOUND']).toContain(kind);
    await withIndex(repository, {}, async ({ index }) => {
      expect(index.find('data', sha256(Buffer.from(secretText)))).toBe(-1);
      expect(index.find('data', sha256(Buffer.from('public')))).toBeGreaterThanOrEqual(0);
    });
    expect((await checkAll(repository)).errors).toEqual([]);
  });
});

describeNeeding('fuse').each(ways)(`C4: what (%s) cannot be read${needs('fuse')}`, (way) => {
  test('is named with the offset; the rest is stored', async () => {
    const broken = { start: 600_000, end: 600_001, errno: EIO };
    const files: Record<string, FuseFile> = {
      broken: { sizeBytes: 900_000, broken },
      checksum: { sizeBytes: 900_000, broken: { ...broken, errno: EBADMSG } },
      denied: { sizeBytes: 10, openErrno: EACCES },
      whole: { sizeBytes: 900_000 },
    };
    const { backup, restored } = await backUpFuse(way, files);
    expect(backup.exitCode).toBe(3);
    const lines = complaintsOf(backup).map((line) => line.replaceAll(/, path: [^)]*/g, ''));
    expect(lines).toMatchInlineSnapshot(`
      [
        "broken: a source could not be read (offset: 524288): a system call failed (call: read, code: EIO): EIO: read",
        "checksum: a source could not be read (offset: 524288): a system call failed (call: read, code: EBADMSG): EBADMSG: read",
        "denied: permission denied (call: openat, code: EACCES): EACCES: openat",
      ]
    `);
    expect(readFileSync(`${restored}/whole`).equals(fuseContent(900_000))).toBe(true);
    for (const name of ['broken', 'checksum', 'denied']) {
      expect(() => statSync(`${restored}/${name}`)).toThrow('ENOENT');
    }
  });

  // What is far is read by one process, whatever its size.
  test.runIf(way === 'near')('is named with the offset, when several threads read it', async () => {
    const broken = { start: 40 << 20, end: (40 << 20) + 1, errno: EIO };
    const { backup, restored } = await backUpFuse(way, {
      large: { sizeBytes: 49 << 20, broken },
      whole: { sizeBytes: 900_000 },
    });
    expect(backup.exitCode).toBe(3);
    expect(complaintsOf(backup)).toEqual([
      expect.stringContaining('large: a source could not be read (offset: 41943040): '),
    ]);
    expect(readFileSync(`${restored}/whole`).equals(fuseContent(900_000))).toBe(true);
    expect(() => statSync(`${restored}/large`)).toThrow('ENOENT');
  });

  test('is named also if it is a directory', async () => {
    const folder = scratch.fresh('folder');
    mkdirSync(folder);
    writeFileSync(`${folder}/file`, 'x');
    mounts.push(await mountFuse(`${folder}/point`, { files: {}, listErrno: EIO }));
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const source = way === 'near' ? { mounts: noMounts } : {};
    const backup = await backUp(repository, [folder], { source });
    expect(backup.exitCode).toBe(3);
    expect(backup.complaints).toHaveLength(1);
    expect(backup.complaints[0]).toContain(`${folder}/point: a system call failed`);
    expect(backup.summary.totalFilesProcessed).toBe(1);
  });
});
