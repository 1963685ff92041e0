import { HoldfastError } from '../base/errors.ts';
import type { Id } from '../repository/id.ts';
import { addKey } from '../repository/keys.ts';
import { loadSealedConfig } from '../repository/config.ts';
import type { Repository } from '../repository/repository.ts';
import { formatTime, localTime, localZone } from '../repository/time-format.ts';
import { getVerified, removeSurely } from '../repository/unpacked.ts';
import type { EngineContext } from './context.ts';
import type { RecoveryKit } from './recovery-kit/kit.ts';
import { generatePassword } from './recovery-kit/password.ts';

export { type RecoveryKit, shellQuote } from './recovery-kit/kit.ts';
export { generatePassword, isTypedBack, passwordGroupCount } from './recovery-kit/password.ts';
export { recoveryKitHtml } from './recovery-kit/render-html.ts';
export { recoveryKitText } from './recovery-kit/render-text.ts';

/** The user that `key list` shows for keys of recovery kits. */
const kitUsername = 'recovery-kit';

/** A kit and its key, which opens the repository already. */
export interface NewRecoveryKit extends RecoveryKit {
  readonly key: { readonly id: Id; readonly json: string };
}

/**
 * Makes a recovery kit: a generated password, a key for it that was proven to open the repository, and copies of the two
 * small files without which nothing can be read. Nobody knows the password until the kit is written down; `discardKit` takes
 * the key away again if that fails.
 * @throws as `addKey`; what reading throws, and then the key is gone again
 */
export async function createRecoveryKit(
  repository: Repository,
  { hostname, program }: { readonly hostname: string; readonly program: string },
  { environment, signal }: Pick<EngineContext, 'environment' | 'signal'>,
): Promise<NewRecoveryKit> {
  const { backend, config } = repository;
  const password = generatePassword(environment.random);
  const words = { password: Buffer.from(password), hostname, username: kitUsername };
  const id = await addKey(repository, { ...words, signal });
  try {
    const keyFile = await getVerified(backend, { type: 'key', name: id }, { signal });
    const sealedConfig = await loadSealedConfig(backend, { signal });
    return {
      location: backend.location,
      repositoryId: config.id,
      password,
      date: formatTime(localTime(environment.clock.wallNs()), localZone).slice(0, 10),
      program,
      key: { id, json: Buffer.from(keyFile).toString('utf8') },
      config: Buffer.from(sealedConfig).toString('base64'),
    };
  } catch (error) {
    await backend.remove({ type: 'key', name: id }).catch(() => undefined);
    throw error;
  }
}

/** Takes the key of a kit away that nobody has. @throws BACKEND_WRITE_FAILED, saying which key is left */
export async function discardKit(repository: Repository, { key }: NewRecoveryKit): Promise<void> {
  try {
    await removeSurely(repository.backend, { type: 'key', name: key.id });
  } catch (cause) {
    throw new HoldfastError('BACKEND_WRITE_FAILED', {
      message: 'the key of a recovery kit that was given up is still there',
      details: { keyId: key.id },
      hint: 'Remove it with "holdfast key remove".',
      cause,
    });
  }
}
