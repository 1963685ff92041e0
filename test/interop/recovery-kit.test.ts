import { expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { createRecoveryKit, discardKit } from '../../src/engine/recovery-kit.ts';
import { initRepository, withRepository } from '../tools/engine.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('interop-kit');

describeWith(['restic'], 'the password of a recovery kit', () => {
  test('opens the repository in restic, until the kit is given up', async () => {
    const folder = scratch.fresh('repository');
    await initRepository(folder);
    await withRepository(folder, {}, async (repository) => {
      const words = { hostname: 'host', program: 'holdfast' };
      const kit = await createRecoveryKit(repository, words, { environment });
      const { password } = kit;
      const config = JSON.parse(
        await mustRestic(folder, ['cat', 'config'], { password }),
      ) as object;
      expect(config).toMatchObject({ id: kit.repositoryId });
      await discardKit(repository, kit);
      await expect(mustRestic(folder, ['cat', 'config'], { password })).rejects.toThrow(/password/);
    });
  });
});
