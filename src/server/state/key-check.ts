import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Sealer } from './seal.ts';
import type { State } from './state.ts';
import type { Queries } from './tables.ts';

const checkName = 'key-check';

/**
 * Proves that the key of this server is the one that sealed what is in the database: another would seal what the other servers of the
 * database cannot open.
 *
 * @param isNew the key before is lost: what it has sealed is to be given anew
 * @throws SECRET_NOT_OPENED
 */
export function checkKey(state: State, sealer: Sealer, isNew: boolean): Promise<void> {
  return state.transaction(async (db) => {
    const value = sealer.seal('holdfast', placeOfCheck);
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('settings')
      .values({ name: checkName, value })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    if (numInsertedOrUpdatedRows === 1n) return;
    const known = await db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', checkName)
      .executeTakeFirstOrThrow();
    if (opens(sealer, known.value)) return;
    if (!isNew) {
      throw new HoldfastError('SECRET_NOT_OPENED', {
        message:
          'the secrets in the database were sealed with another key than that of this server',
        hint: 'Put its key file back. If it is lost, start once with --new-key, and give all secrets anew.',
      });
    }
    await db.updateTable('settings').set({ value }).where('name', '=', checkName).execute();
    // Answers that are kept for keys of requests are sealed as well.
    await db.deleteFrom('idempotency').execute();
  });
}

/**
 * Proves that a key is the one that sealed what is in a database, where something is.
 * @throws SECRET_NOT_OPENED
 */
export async function assertKeyOf(db: Queries, sealer: Sealer): Promise<void> {
  const known = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', checkName)
    .executeTakeFirst();
  if (known) sealer.open(known.value, placeOfCheck);
}

const placeOfCheck = `settings/${checkName}`;

function opens(sealer: Sealer, sealed: string): boolean {
  try {
    sealer.open(sealed, placeOfCheck);
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'SECRET_NOT_OPENED')) return false;
    throw error;
  }
}
