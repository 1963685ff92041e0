import type { Environment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { exists } from '../platform/folders.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { type MovedTable, moveState } from './state/move-state.ts';
import { openKeyFile, Sealer } from './state/seal.ts';
import type { StateLocation } from './state/state.ts';

/** Where a server has its state: in its folder, or in PostgreSQL. */
export type ServerPlace =
  | { readonly kind: 'folder'; readonly path: string }
  | Extract<StateLocation, { readonly kind: 'postgres' }>;

/**
 * Moves the state of a server that is stopped, while no other can start on its folders.
 *
 * @throws USAGE; STATE_CONFLICT if a server runs on either, or the target is not empty; SECRET_NOT_OPENED if the key in the target's
 *   folder is another; STATE_FAILED
 */
export async function moveServer(
  from: ServerPlace,
  to: ServerPlace,
  environment: Environment,
): Promise<MovedTable[]> {
  assertApart(from, to);
  const held: DataFolder[] = [];
  const locate = (place: ServerPlace): StateLocation => {
    if (place.kind === 'postgres') return place;
    const folder = openDataFolder(place.path);
    held.push(folder);
    return { kind: 'sqlite', path: folder.statePath };
  };
  try {
    assertThere(from);
    const source = locate(from);
    const target = locate(to);
    const keyOfTarget = to.kind === 'folder' ? keyBeside(held.at(-1), environment) : undefined;
    return await moveState(source, target, { environment, keyOfTarget });
  } finally {
    for (const folder of held) folder.close();
  }
}

/** @throws USAGE */
function assertApart(from: ServerPlace, to: ServerPlace): void {
  const [one, other] = [from, to].map((place) =>
    place.kind === 'folder' ? place.path : place.url,
  );
  if (one !== other) return;
  throw new HoldfastError('USAGE', { message: 'the state is there already' });
}

/** A folder that is mistyped is not made. @throws STATE_FAILED */
function assertThere(place: ServerPlace): void {
  if (place.kind === 'postgres' || exists(Buffer.from(place.path))) return;
  throw new HoldfastError('STATE_FAILED', {
    message: `there is no folder ${JSON.stringify(place.path)}`,
  });
}

/** @throws USAGE if there is none: a new one could open nothing */
function keyBeside(folder: DataFolder | undefined, environment: Environment): Sealer | undefined {
  if (!folder) return undefined;
  if (!exists(Buffer.from(folder.keyPath))) {
    throw new HoldfastError('USAGE', {
      message: `the key of the server is not in its new folder: ${JSON.stringify(folder.keyPath)}`,
      hint: 'Copy "secret.key" there from the folder that the server has used until now.',
    });
  }
  return new Sealer(openKeyFile(folder.keyPath, environment.random), environment.random);
}
