import { cpSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';

import { password } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed } from './crash-bed.ts';
import { killAt, killTimeoutMs } from './kill-points.ts';
import { type Command, mustSucceed, runAgain } from './killed-run.ts';
import { judgeWhole, type Outcome } from './next-run.ts';

const scratch = scratchFolder('crash');
const bed = new CrashBed(scratch);

/** A command that is disturbed, and what must be true after it. */
interface Operation extends Outcome {
  /** The repository that it works on. */
  readonly repository: string;
  readonly args: readonly string[];
  readonly input?: Uint8Array;
  /** Kills and failing calls, unless all are asked for. */
  readonly samples: number;
  readonly errors: number;
  /** What a command says once all is done. */
  readonly finished?: { readonly args: readonly string[]; readonly says: RegExp };
}

/** A repository whose packs have parity. */
const guarded = bed.fresh('guarded');

/** How many snapshots there may be. */
function counts(...snapshots: number[]): { readonly snapshots: readonly number[] } {
  return { snapshots };
}

// Either the disturbed one made its snapshot, and the next one another, or it did not.
const first = { repository: bed.empty, after: counts(0, 1), done: counts(1), atEnd: counts(1, 2) };
const further = {
  repository: bed.pristine,
  after: counts(1, 2),
  done: counts(2),
  atEnd: counts(2, 3),
};

const operations: Readonly<Record<string, Operation>> = {
  'first backup': { ...first, args: ['backup', bed.source], samples: 1, errors: 1 },
  'backup with changes': { ...further, args: ['backup', bed.source], samples: 2, errors: 0 },
  'backup --stdin': {
    ...further,
    args: ['backup', '--stdin', '--stdin-filename', 'stream'],
    input: bed.stream,
    samples: 1,
    errors: 0,
  },
  'backup of a large file': {
    ...further,
    args: ['backup', '--pack-size', '4', bed.large],
    samples: 1,
    errors: 0,
  },
  // Between storing the new one and removing the old one there are both, and both are tagged then.
  'tag --add': {
    repository: bed.pristine,
    args: ['tag', '--add', 'new'],
    samples: 1,
    errors: 0,
    after: counts(1, 2),
    atEnd: counts(1, 2),
  },
  forget: {
    repository: bed.full,
    args: ['forget', '--keep-last', '1'],
    samples: 1,
    errors: 0,
    after: counts(1, 2),
    atEnd: counts(1),
  },
  parity: {
    repository: bed.full,
    args: ['parity', '20'],
    samples: 1,
    errors: 0,
    after: counts(2),
    atEnd: counts(2),
    finished: { args: ['parity'], says: /20% for new packs; (\d+) of \1 packs have it/ },
  },
  'parity 0': {
    repository: guarded,
    args: ['parity', '0'],
    samples: 1,
    errors: 0,
    after: counts(2),
    atEnd: counts(2),
    finished: { args: ['parity'], says: /0% for new packs; 0 of/ },
  },
  // What was copied before the kill is not copied again.
  copy: {
    repository: bed.empty,
    args: ['copy', '--from-repo', bed.full, '--from-password-command', `echo ${password}`],
    samples: 1,
    errors: 1,
    after: counts(0, 1, 2),
    atEnd: counts(2),
  },
};

beforeAll(async () => {
  await bed.prepare();
  cpSync(bed.full, guarded, { recursive: true });
  await mustSucceed({ repository: guarded, args: ['parity', '20'] });
});

describeWith(['strace'], 'a program that is killed, or meets an error', () => {
  requirePeer('restic');

  test.each(Object.entries(operations))(
    'during %s leaves old and new snapshots whole, and the next run finishes',
    async (title, { repository: from, args, input, samples, errors, finished, ...outcome }) => {
      const command = (): Command => ({
        repository: bed.copyOf(from),
        args,
        ...(input ? { input } : {}),
      });
      const plan = { command, samples, errors, log: scratch.fresh('log') };
      await killAt(title, plan, async (disturbed) => {
        await judgeWhole(bed, disturbed, outcome);
        const { repository } = disturbed.command;
        if (finished) {
          const { output } = await runAgain({ repository, args: finished.args });
          expect(output).toMatch(finished.says);
        }
        bed.remove(repository);
      });
    },
    killTimeoutMs,
  );
});
