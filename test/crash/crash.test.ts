import { beforeAll, expect, test } from 'vitest';

import { password } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed, namesIn } from './crash-bed.ts';
import { killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed } from './killed-run.ts';

const scratch = scratchFolder('crash');
const bed = new CrashBed(scratch);

/** A command that is killed, and what must be true after it. */
interface Operation {
  /** The repository that it works on. */
  readonly repository: string;
  readonly args: readonly string[];
  readonly input?: Uint8Array;
  /** Kills, unless all are asked for. */
  readonly samples: number;
  /** How many snapshots there may be after a kill: those from before, and it may be one more. */
  readonly snapshots: readonly number[];
  /** How many there may be when the command was given again. */
  readonly snapshotsAtEnd: readonly number[];
}

// Either the killed one made its snapshot, and the next one another, or it did not.
const first = { repository: bed.empty, snapshots: [0, 1], snapshotsAtEnd: [1, 2] } as const;
const further = { repository: bed.pristine, snapshots: [1, 2], snapshotsAtEnd: [2, 3] } as const;

const operations: Readonly<Record<string, Operation>> = {
  'first backup': { ...first, args: ['backup', bed.source], samples: 1 },
  'backup with changes': { ...further, args: ['backup', bed.source], samples: 2 },
  'backup --stdin': {
    ...further,
    args: ['backup', '--stdin', '--stdin-filename', 'stream'],
    input: bed.stream,
    samples: 1,
  },
  'backup of a large file': {
    ...further,
    args: ['backup', '--pack-size', '4', bed.large],
    samples: 1,
  },
  // Between storing the new one and removing the old one there are both, and both are tagged then.
  'tag --add': {
    repository: bed.pristine,
    args: ['tag', '--add', 'new'],
    samples: 1,
    snapshots: [1, 2],
    snapshotsAtEnd: [1, 2],
  },
  forget: {
    repository: bed.full,
    args: ['forget', '--keep-last', '1'],
    samples: 1,
    snapshots: [1, 2],
    snapshotsAtEnd: [1],
  },
  // What was copied before the kill is not copied again.
  copy: {
    repository: bed.empty,
    args: ['copy', '--from-repo', bed.full, '--from-password-command', `echo ${password}`],
    samples: 1,
    snapshots: [0, 1, 2],
    snapshotsAtEnd: [2],
  },
};

beforeAll(() => bed.prepare());

describeWith(['strace'], 'a program that is killed', () => {
  requirePeer('restic');

  test.each(Object.entries(operations))(
    'during %s leaves old and new snapshots whole, and the next run finishes',
    async (title, { repository: from, args, input, samples, snapshots, snapshotsAtEnd }) => {
      const command = (): Command => ({
        repository: bed.copyOf(from),
        args,
        ...(input ? { input } : {}),
      });
      const log = scratch.fresh('log');
      await killAt(
        title,
        { command, samples, log },
        async ({ command: killed, run, withRestic }) => {
          const { repository } = killed;
          // I1: what it said is true, though it was killed afterwards.
          const [, saved] = /^snapshot ([0-9a-f]{8}) saved/m.exec(run.output) ?? [];
          const ids = namesIn(repository, 'snapshots').map((id) => id.slice(0, 8));
          if (saved) expect(ids, 'I1: the snapshot it reported').toContain(saved);
          // I1, I2, I4a, I6, I8.
          await bed.examine(repository, { snapshots, withRestic });
          await mustSucceed({ repository, args: ['unlock'] });
          await mustSucceed(killed);
          await bed.examine(repository, { snapshots: snapshotsAtEnd, withRestic });
          expect(namesIn(repository, 'locks')).toEqual([]);
          bed.remove(repository);
        },
      );
    },
    killTimeoutMs,
  );
});
