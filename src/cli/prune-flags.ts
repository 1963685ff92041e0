import type { PruneOptions, PrunePolicy, UnusedLimit } from '../engine/prune.ts';
import type { FlagValues } from './command.ts';
import { usage } from './parse.ts';
import { parseSize } from './values.ts';

/** Flags that say what prune does: those of `prune`, and of `forget --prune`. */
export const prunePolicyFlags = {
  maxUnused: {
    kind: 'text',
    name: 'max-unused',
    placeholder: 'limit',
    description:
      "let this much unused data stay: a size (suffixes k, m, g, t), a part of all data in %, or 'unlimited'",
    defaultText: '5%',
  },
  maxRepackSize: {
    kind: 'size',
    name: 'max-repack-size',
    placeholder: 'size',
    description: 'store at most so much data anew (suffixes k, m, g, t)',
  },
  repackCacheableOnly: {
    kind: 'boolean',
    name: 'repack-cacheable-only',
    description: 'store only packs of folder listings anew, which local caches hold',
  },
  repackSmall: {
    kind: 'boolean',
    name: 'repack-small',
    description: 'without effect: small packs are joined anyway',
  },
  repackSmallerThan: {
    kind: 'size',
    name: 'repack-smaller-than',
    placeholder: 'below-limit',
    description: 'join packs below this size, if there are ten of them (suffixes k, m)',
  },
  repackUncompressed: {
    kind: 'boolean',
    name: 'repack-uncompressed',
    description: 'compress all data that is stored uncompressed',
  },
  instant: {
    kind: 'boolean',
    name: 'instant',
    description: 'delete at once, as restic does; nobody else can use the repository meanwhile',
  },
  keepDelete: {
    kind: 'duration',
    name: 'keep-delete',
    placeholder: 'duration',
    description: 'delete only what was marked so long ago',
    defaultText: '24h',
  },
} as const;

/** The flags of a prune, by itself or after `forget`. */
export type PrunePolicyFlags = typeof prunePolicyFlags;

const keepDeleteMsDefault: number = 24 * 3_600_000;

/** What a policy is held against. */
export interface PruneRepository {
  readonly config: { readonly version: 1 | 2 };
  readonly packSizeBytes: number;
  readonly compression: string;
}

/** What the flags say. @throws USAGE, also for what this repository cannot do */
export function pruneOptionsOf(
  flags: FlagValues<PrunePolicyFlags>,
  repository: PruneRepository,
): PruneOptions {
  const { repackSmallerThan, repackUncompressed } = flags;
  if (repackSmallerThan !== undefined && repackSmallerThan > repository.packSizeBytes) {
    throw usage('--repack-smaller-than exceeds the pack size of the repository');
  }
  if (repackUncompressed && repository.config.version === 1) {
    throw usage(
      '--repack-uncompressed needs a repository of version 2',
      'Run "holdfast migrate upgrade_repo_v2" first.',
    );
  }
  const policy: PrunePolicy = {
    maxUnused: parseMaxUnused(flags.maxUnused ?? '5%'),
    maxRepackBytes: flags.maxRepackSize,
    repackCacheableOnly: flags.repackCacheableOnly,
    repackSmallerThanBytes: repackSmallerThan,
    repackUncompressed,
  };
  const keepDeleteMs = flags.keepDelete ?? keepDeleteMsDefault;
  return { policy, instant: flags.instant, keepDeleteMs };
}

/** Looks at the flags before anything is opened. @throws USAGE */
export function checkPruneFlags(
  flags: FlagValues<PrunePolicyFlags>,
  compression: string | undefined,
): void {
  parseMaxUnused(flags.maxUnused ?? '5%');
  if (flags.repackUncompressed && compression === 'off') {
    throw usage('disabled compression and --repack-uncompressed are mutually exclusive');
  }
}

/** @throws USAGE */
export function parseMaxUnused(text: string): UnusedLimit {
  if (text === 'unlimited') return { kind: 'unlimited' };
  const percent = /^(\d+(?:\.\d*)?|\.\d+)%$/.exec(text);
  if (percent) {
    const value = Number(percent[1]);
    if (value < 100) return { kind: 'percent', percent: value };
    throw usage('percentage for --max-unused must be below 100%');
  }
  const size = parseSize(text);
  if ('value' in size) return { kind: 'size', sizeBytes: size.value };
  throw usage(
    `invalid number of bytes ${JSON.stringify(text)} for --max-unused`,
    "Write a size such as 200M, a percentage such as 5%, or 'unlimited'.",
  );
}
