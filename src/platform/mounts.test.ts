import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../base/clock.ts';
import { needs, requirePeer } from '../../test/tools/peers.ts';
import { b, describeSystems, latin } from './fixtures/both-systems.ts';
import { decodeMounts, isMounted, mountPoints, probeDirectory } from './mounts.ts';

describe('mountPoints', () => {
  it.runIf(process.platform === 'linux')('finds /proc with its device', () => {
    const proc = mountPoints().find((mount) => latin(mount.path) === '/proc');
    expect(proc).toMatchObject({ type: 'proc', device: statSync('/proc').dev });
  });

  it('reads every form of line', () => {
    const text = Buffer.concat([
      b(
        '36 35 98:0 /mnt1 /mnt/a\\040b\\134c\\012d rw,noatime master:1 shared:2 - ext3 /dev/root rw\n',
      ),
      b('37 35 0:52 / /mnt/'),
      Buffer.from([0xff]),
      b(' rw - fuse.sshfs user@host:/x\\040y rw,user_id=0\n'),
      b('garbage\n38 35 x:y / /bad rw - ext4 none rw\n\n'),
    ]);
    expect(
      decodeMounts(text).map((mount) => ({ ...mount, path: latin(mount.path) })),
    ).toMatchInlineSnapshot(`
        [
          {
            "device": 25088,
            "path": "/mnt/a b\\c
        d",
            "source": "/dev/root",
            "type": "ext3",
          },
          {
            "device": 52,
            "path": "/mnt/ÿ",
            "source": "user@host:/x y",
            "type": "fuse.sshfs",
          },
        ]
      `);
  });
});

describeSystems('isMounted', (scratch) => {
  it.skipIf(needs('mount') !== '')(
    `knows what is mounted from what is not${needs('mount')}`,
    () => {
      const [other, bound, tmpfs] = ['other', 'bound', 'tmpfs'].map((name) => scratch.at(name));
      for (const path of [other, bound, tmpfs]) mkdirSync(path ?? '');
      execFileSync('mount', ['--bind', other ?? '', bound ?? '']);
      execFileSync('mount', ['-t', 'tmpfs', 'none', tmpfs ?? '']);
      try {
        expect(['other', 'bound', 'tmpfs'].map(isMountedAt)).toEqual([false, true, true]);
      } finally {
        for (const path of [bound, tmpfs]) execFileSync('umount', [path ?? '']);
      }
    },
  );

  function isMountedAt(name: string): boolean {
    const directory = openSync(scratch.at(name), 'r');
    try {
      return isMounted(directory, scratch.directory);
    } finally {
      closeSync(directory);
    }
  }
});

/** Time that never runs out. */
const stoppedClock: Clock = { ...systemClock, sleep: () => new Promise(() => {}) };

describe('probeDirectory', () => {
  it('says yes for what answers, whatever the answer and the name', async () => {
    const root = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
    const paths = [b(root), b('/none'), b('/etc/hostname'), b('-x'), b('$(sleep 99)\n'), b('%s')];
    for (const path of [...paths, Buffer.concat([b(root), Buffer.from([0x2f, 0xff, 0x0a])])]) {
      expect(await probeDirectory(path, { timeoutMs: 1000 }, stoppedClock)).toBe(true);
    }
    rmSync(root, { recursive: true });
  });

  it('says no when time runs out', async () => {
    const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
    expect(await probeDirectory(b('/'), { timeoutMs: 0 }, clock)).toBe(false);
  });

  requirePeer('fuse');
  const title = `says no for a FUSE file system that hangs${needs('fuse')}`;
  it.skipIf(needs('fuse') !== '')(title, async () => {
    const root = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
    // Nobody ever answers what the kernel asks here.
    const silent = openSync('/dev/fuse', 'r+');
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
    execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'silent', root], {
      stdio: ['ignore', 'ignore', 'inherit', silent],
    });
    try {
      expect(mountPoints().map((mount) => latin(mount.path))).toContain(root);
      expect(await probeDirectory(b(root), { timeoutMs: 300 }, systemClock)).toBe(false);
      expect(await probeDirectory(b(tmpdir()), { timeoutMs: 5000 }, systemClock)).toBe(true);
    } finally {
      execFileSync('umount', ['-l', root]);
      closeSync(silent);
    }
    rmSync(root, { recursive: true });
  });
});
