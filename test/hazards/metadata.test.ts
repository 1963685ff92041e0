import { linkSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setExtendedAttribute, setTimes } from '../../src/platform/attributes.ts';
import { closeFile, openFile } from '../../src/platform/files.ts';
import { readStatus } from '../../src/platform/status.ts';
import { namedAcl } from '../tools/acl.ts';
import { treeDifferences } from '../tools/compare.ts';
import { backUp, checkAll, initRepository, restoreLatest } from '../tools/engine.ts';
import { smallHazardTree } from '../tools/hazard-tree.ts';
import { type FileSystemKind, mountLoop, mountObstacle, unmount } from '../tools/loop-mount.ts';
import { measure } from '../tools/measure.ts';
import { describeWith, isRequired } from '../tools/peers.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { makeTree } from '../tools/tree-spec.ts';

const scratch = scratchFolder('hazards');
const mounts: string[] = [];
let repository: string;
beforeEach(async () => {
  repository = scratch.fresh('repository');
  await initRepository(repository);
});
afterEach(() => {
  for (const point of mounts.splice(0)) unmount(point);
});

interface Allowed {
  readonly symlinkBytesMax: number;
  readonly minorMax: number;
  readonly attributeBytesMax: number;
  readonly attributesMax: number;
}

/** What each file system allows. */
const limits: Readonly<Record<FileSystemKind, Allowed>> = {
  ext4: {
    minorMax: 1_048_575,
    symlinkBytesMax: 4095,
    attributeBytesMax: 65_536,
    attributesMax: 60,
  },
  xfs: { minorMax: 262_143, symlinkBytesMax: 1023, attributeBytesMax: 65_536, attributesMax: 200 },
  btrfs: {
    minorMax: 1_048_575,
    symlinkBytesMax: 3900,
    attributeBytesMax: 15_000,
    attributesMax: 200,
  },
};

/** Sets what no specification of a tree can: capabilities, large and many attributes. */
async function addAttributes(folder: string, allowed: Allowed): Promise<void> {
  mkdirSync(folder);
  const names = ['capable', 'binary', 'very many', 'large', 'labelled'];
  for (const name of names) writeFileSync(`${folder}/${name}`, name);
  await mustRun('setcap', ['cap_net_raw,cap_chown=ep', `${folder}/capable`]);
  const set = (file: string, name: string, value: Uint8Array): void => {
    const fd = openFile(Buffer.from(`${folder}/${file}`), { write: true });
    setExtendedAttribute(fd, { name: Buffer.from(name), value });
    closeFile(fd);
  };
  set('binary', 'user.\u00e9\n"\\', Uint8Array.from([0, 255, 10, 0]));
  for (let i = 0; i < allowed.attributesMax; i++)
    set('very many', `user.attribute ${i}`, Buffer.from(`${i}`));
  set('large', 'user.large', new Uint8Array(allowed.attributeBytesMax).fill(7));
  set('labelled', 'security.label', Buffer.from('x'));
}

/** Times that the file system can hold, set on files and read back. */
function addTimes(folder: string): void {
  mkdirSync(folder);
  // 1901 and 2446 are the limits of ext4; XFS ends in 2486, Btrfs later.
  const seconds = [1 - 2 ** 31, -2, -1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 15_032_385_534];
  for (const [i, second] of seconds.entries()) {
    const name = Buffer.from(`${folder}/${second}`);
    writeFileSync(name, '');
    const fd = openFile(name, { write: true });
    const mtime = { seconds: second, nanoseconds: [500_000_000, 1, 999_999_999][i % 3] ?? 0 };
    setTimes(fd, { mtime, atime: { seconds: 1000 + i, nanoseconds: i } });
    closeFile(fd);
    expect(readStatus(name).mtime).toEqual(mtime);
  }
}

const onDisks = Object.keys(limits) as FileSystemKind[];
/** What makes each; the first comes with every Debian. */
const makers = { ext4: 'root', xfs: 'mkfs.xfs', btrfs: 'mkfs.btrfs' } as const;

describeWith(['root', 'rsync', 'bsdtar', 'setcap'], 'C9, C11, C12, C13, C15, C22', () => {
  const obstacles = new Map<FileSystemKind, string | undefined>();
  beforeAll(async () => {
    for (const kind of onDisks) obstacles.set(kind, await mountObstacle(kind, scratch.path));
  });

  test.for(onDisks)('what %s holds comes back equal', async (kind, { skip }) => {
    const obstacle = obstacles.get(kind);
    if (obstacle !== undefined) {
      expect(isRequired(makers[kind]), `${kind} is needed: ${obstacle}`).toBe(false);
      skip(`no ${kind} here: ${obstacle}`);
    }
    const point = scratch.fresh(kind);
    await mountLoop(kind, `${point}.image`, point);
    mounts.push(point);
    makeTree(`${point}/tree`, smallHazardTree(limits[kind]));
    await addAttributes(`${point}/tree/more attributes`, limits[kind]);
    addTimes(`${point}/tree/more times`);
    const first = await backUp(repository, ['tree'], {
      source: { workingDirectory: point },
      options: { withAtime: true },
    });
    expect(first.complaints).toEqual([]);
    expect((await checkAll(repository)).errors).toEqual([]);
    const restored = await restoreLatest(repository, `${point}/restored`);
    expect(restored.complaints).toEqual([]);
    for (const name of readdirSync(`${point}/tree/more times`)) {
      const at = `more times/${name}`;
      const copy = readStatus(Buffer.from(`${point}/restored/tree/${at}`));
      expect(copy.atime).toEqual(readStatus(Buffer.from(`${point}/tree/${at}`)).atime);
    }
    expect(await treeDifferences(`${point}/tree`, `${point}/restored/tree`)).toEqual([]);
    // The root may turn what is there into what was: other times, modes, attributes.
    await mustRun('sh', ['-c', 'chmod -R 700 . && touch -h * && setfacl -R -b .'], {
      cwd: `${point}/restored/tree`,
    });
    expect((await restoreLatest(repository, `${point}/restored`)).complaints).toEqual([]);
    expect(await treeDifferences(`${point}/tree`, `${point}/restored/tree`)).toEqual([]);
    scratch.remove(`${point}.image`);
  });

  test('an attribute whose name is not text is named, as the format cannot hold it', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(folder);
    writeFileSync(`${folder}/file`, 'x');
    const fd = openFile(Buffer.from(`${folder}/file`), { write: true });
    const name = Buffer.concat([Buffer.from('user.'), Uint8Array.from([0xff, 0x61])]);
    setExtendedAttribute(fd, { name, value: Buffer.from('1') });
    setExtendedAttribute(fd, { name: Buffer.from('user.fine'), value: Buffer.from('2') });
    closeFile(fd);
    const backup = await backUp(repository, [folder]);
    expect(backup.exitCode).toBe(3);
    expect(backup.complaints.map((line) => line.replaceAll(folder, ''))).toMatchInlineSnapshot(`
      [
        "/file: an extended attribute is left out: its name is not UTF-8, which the repository format cannot hold",
      ]
    `);
    const target = scratch.fresh('restored');
    expect((await restoreLatest(repository, target)).complaints).toEqual([]);
    const list = await mustRun('getfattr', ['-d', '--absolute-names', `${target}${folder}/file`]);
    expect(list).toContain('user.fine="2"');
    expect(list.match(/user\./g)).toHaveLength(1);
  });

  test('what another user may not set is listed, and the content restored', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(folder);
    makeTree(`${folder}/tree`, [
      {
        type: 'file',
        name: Buffer.from('plain'),
        content: text,
        metadata: { uid: 65534, gid: 65534 },
      },
      { type: 'file', name: Buffer.from('setuid'), content: text, metadata: { mode: 0o4755 } },
      {
        type: 'file',
        name: Buffer.from('trusted'),
        content: text,
        metadata: {
          uid: 65534,
          gid: 65534,
          attributes: [
            { name: 'trusted.t', value: Buffer.from('1') },
            { name: 'system.posix_acl_access', value: namedAcl(7, 5) },
          ],
        },
      },
      { type: 'character', name: Buffer.from('device'), device: { major: 1, minor: 3 } },
    ]);
    await backUp(repository, ['tree'], { source: { workingDirectory: folder } });
    await mustRun('chmod', ['-R', 'a+rX', repository]);
    const target = scratch.fresh('restored');
    mkdirSync(target);
    await mustRun('chown', ['65534:65534', target]);
    const { complaints } = await measure('restore', [repository, target], { uid: 65534 });
    const lines = complaints.map((line) =>
      line.replaceAll(target, '').replace(/\.holdfast[^)]*/, ''),
    );
    expect(lines).toMatchInlineSnapshot(`
      [
        "/tree/device: permission denied (call: mknodat, code: EPERM, path: /tree/device): EPERM: mknodat",
        "/tree/setuid: permission denied (call: fchownat, code: EPERM, path: /tree/): EPERM: fchownat",
        "/tree/setuid: setuid and setgid are left off: only an administrator restores them",
        "/tree/trusted: permission denied (call: setxattr, code: EPERM, path: /tree/): EPERM: setxattr",
        "/tree: permission denied (call: fchownat, code: EPERM, path: /tree): EPERM: fchownat",
      ]
    `);
    for (const name of ['plain', 'setuid', 'trusted']) {
      expect(await mustRun('cat', [`${target}/tree/${name}`])).toBe(
        await mustRun('cat', [`${folder}/tree/${name}`]),
      );
      expect(statSync(`${target}/tree/${name}`).mode & 0o6000).toBe(0);
    }
  });
});

const text = { kind: 'text', sizeBytes: 100, seed: 1 } as const;

describeWith(['rsync', 'bsdtar'], 'C10: hard links', () => {
  test('of 10,000 names are stored once and are one file again', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(`${folder}/a`, { recursive: true });
    mkdirSync(`${folder}/b`);
    writeFileSync(`${folder}/a/0`, 'content of many names');
    for (let i = 1; i < 10_000; i++) {
      linkSync(`${folder}/a/0`, `${folder}/${i % 2 === 0 ? 'a' : 'b'}/${i}`);
    }
    // Two targets: the links lead from one to the other.
    const backup = await backUp(repository, ['a', 'b'], { source: { workingDirectory: folder } });
    expect(backup.complaints).toEqual([]);
    expect(backup.summary.dataBlobs).toBe(1);
    const target = scratch.fresh('restored');
    expect((await restoreLatest(repository, target)).complaints).toEqual([]);
    expect(statSync(`${target}/b/9999`).nlink).toBe(10_000);
    expect(statSync(`${target}/b/9999`).ino).toBe(statSync(`${target}/a/0`).ino);
  });

  test('whose number changes between backups come back as they were at each', async () => {
    const folder = scratch.fresh('work');
    const tree = `${folder}/tree`;
    mkdirSync(tree, { recursive: true });
    writeFileSync(`${tree}/one`, 'first');
    linkSync(`${tree}/one`, `${tree}/two`);
    const here = { source: { workingDirectory: folder } };
    await backUp(repository, ['tree'], here);
    await restoreLatest(repository, `${folder}/before`);
    expect(await treeDifferences(tree, `${folder}/before/tree`)).toEqual([]);
    rmSync(`${tree}/one`);
    linkSync(`${tree}/two`, `${tree}/three`);
    linkSync(`${tree}/two`, `${tree}/four`);
    writeFileSync(`${tree}/one`, 'other');
    const { complaints } = await backUp(repository, ['tree'], here);
    expect(complaints).toEqual([]);
    await restoreLatest(repository, `${folder}/after`);
    expect(await treeDifferences(tree, `${folder}/after/tree`)).toEqual([]);
    // Over the old state, too: `one` must not stay a name of the others.
    await restoreLatest(repository, `${folder}/before`, { delete: true });
    expect(await treeDifferences(tree, `${folder}/before/tree`)).toEqual([]);
  });
});

describe('C13: sockets', () => {
  test('are left out with a note, and are no problem', async () => {
    const folder = scratch.fresh('tree');
    mkdirSync(folder);
    const program = `require('node:net').createServer().listen(process.argv[1], () => process.exit())`;
    await mustRun(process.execPath, [
      '-e',
      `process.on('exit', () => process.reallyExit(0)); ${program}`,
      `${folder}/s`,
    ]);
    writeFileSync(`${folder}/file`, 'x');
    const backup = await backUp(repository, ['.'], { source: { workingDirectory: folder } });
    expect(backup.exitCode).toBe(0);
    expect(backup.summary.totalFilesProcessed).toBe(1);
  });
});
