import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';

/** Packs that nobody needs, and that the storage does not give up before a time. */
export interface KeptPacks {
  readonly ids: readonly Id[];
  /** When the last of them may go, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** No pack. */
export const noKeptPacks: KeptPacks = { ids: [], untilMs: 0 };

/**
 * Finds those among some packs that are locked. Two requests for each, in a repository for which locks are promised; else none.
 */
export async function findLocked(
  { backend }: Repository,
  packs: readonly Id[],
  { signal }: Pick<EngineContext, 'signal'>,
): Promise<KeptPacks> {
  const { versions, retention } = backend;
  if (!versions || !retention?.promised) return noKeptPacks;
  const ids: Id[] = [];
  let untilMs = 0;
  await forEachConcurrent(packs, backend.connectionCount, async (name) => {
    const all = await versions.of({ type: 'pack', name }, { signal });
    const newest = all[0];
    // A mark of removal is enough to have it out of sight.
    if (newest?.kind !== 'content') return;
    const lock = await retention.load(newest, { signal });
    if (!lock) return;
    ids.push(name);
    untilMs = Math.max(untilMs, lock.untilMs);
  });
  return { ids, untilMs };
}

/** Both together. */
export function joinKept(a: KeptPacks, b: KeptPacks): KeptPacks {
  return { ids: [...a.ids, ...b.ids], untilMs: Math.max(a.untilMs, b.untilMs) };
}

/** Refuses to begin what could not be ended. @throws PERMISSION_DENIED on storage that takes files and gives none up */
export async function assertMayRemove(
  { backend }: Repository,
  { signal }: Pick<EngineContext, 'signal'>,
): Promise<void> {
  if ((await backend.mayRemove?.({ signal })) ?? true) return;
  throw new HoldfastError('PERMISSION_DENIED', {
    message:
      'the storage is append-only for these credentials: prune may remove neither packs nor index files, and has changed nothing',
    details: { location: backend.location },
    hint: 'Run it where removing is allowed, such as on the server that keeps the repository.',
  });
}
