import type { Environment } from '../../base/environment.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { compareTimestamps } from '../../base/timestamp.ts';
import { Sealer } from '../../kernels/seal.ts';
import { openConfig } from '../../repository/config.ts';
import { decodeKeyFile, type KeyFile } from '../../repository/key-file.ts';
import { openWithPassword } from '../../repository/key-search.ts';
import type { CallOptions, FileVersion, Versions } from '../../storage/backend.ts';

/** What a config is proven with. */
export interface ConfigSearch extends CallOptions {
  /** Contents of the key files, by name. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  readonly password: () => Promise<Uint8Array>;
  readonly environment: Environment;
}

/**
 * The newest version of the config that the master key opens. No name tells what a config should hold, so without a key
 * it is taken as it is where there is only one.
 *
 * @param candidates the newest first
 * @returns undefined if none opens
 * @throws PASSWORD_WRONG, KEY_DAMAGED, KEY_LIMIT
 */
export async function findConfig(
  versions: Versions,
  candidates: readonly FileVersion[],
  { keys, password, environment, signal }: ConfigSearch,
): Promise<
  { readonly version: FileVersion; readonly content: Uint8Array<ArrayBuffer> } | undefined
> {
  const [only, second] = candidates;
  if (only && !second) return { version: only, content: await versions.get(only, { signal }) };
  const { masterKey } = await openWithPassword(candidatesOf(keys), {
    environment,
    password: await password(),
    signal,
  });
  const sealer = new Sealer(masterKey, environment.random);
  for (const version of candidates) {
    const content = await versions.get(version, { signal });
    if (opens(content, sealer)) return { version, content };
  }
  return undefined;
}

function candidatesOf(
  keys: ReadonlyMap<string, Uint8Array>,
): Parameters<typeof openWithPassword>[0] {
  const found: { id: string; file: KeyFile }[] = [];
  const damaged: { id: string; error: unknown }[] = [];
  for (const [id, content] of keys) {
    try {
      found.push({ id, file: decodeKeyFile(content) });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      damaged.push({ id, error });
    }
  }
  found.sort((a, b) => compareTimestamps(b.file.created, a.file.created));
  return { keys: found, damaged, keyCount: keys.size };
}

function opens(content: Uint8Array, sealer: Sealer): boolean {
  try {
    openConfig(content, sealer);
    return true;
  } catch (error) {
    if (error instanceof HoldfastError) return false;
    throw error;
  }
}
