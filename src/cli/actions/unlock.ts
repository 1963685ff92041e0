import { removeStaleLocks } from '../../repository/locks.ts';
import { thisProbe } from '../../session/this-process.ts';
import type { Invocation } from '../command.ts';
import type { UnlockFlags } from '../commands/unlock.ts';
import { withSession } from '../session.ts';

/** `holdfast unlock`. */
export function unlock(invocation: Invocation<UnlockFlags>): Promise<number> {
  const { flags, output } = invocation;
  return withSession(invocation, { lock: 'none' }, async ({ repository, signal }) => {
    const options = { all: flags.removeAll, probe: thisProbe(), signal };
    const count = await removeStaleLocks(repository, options);
    if (count > 0) output.info(`successfully removed ${count} locks`);
    const leftoverCount = (await repository.backend.removeLeftovers?.({ signal })) ?? 0;
    if (leftoverCount > 0) {
      output.info(`removed ${leftoverCount} temporary files of writes that were interrupted`);
    }
    return 0;
  });
}
