import { HoldfastError } from '../base/errors.ts';
import type { Backend, CallOptions, FileType } from '../storage/backend.ts';
import type { Id } from './id.ts';

const prefixPattern = /^[0-9a-f]{1,64}$/;

/**
 * Finds the one file of a type whose id begins with `prefix`.
 * @returns its id, or undefined if there is none (also for a text that is no prefix of an id)
 * @throws ID_AMBIGUOUS
 */
export async function findByPrefix(
  backend: Backend,
  search: { readonly type: FileType; readonly prefix: string },
  options: CallOptions = {},
): Promise<Id | undefined> {
  const { type, prefix } = search;
  if (!prefixPattern.test(prefix)) return undefined;
  let found: Id | undefined;
  for await (const { name } of backend.list(type, options)) {
    if (!name.startsWith(prefix)) continue;
    if (found !== undefined && found !== name) {
      throw new HoldfastError('ID_AMBIGUOUS', {
        message: `the id prefix "${prefix}" fits more than one ${type}`,
        details: { first: found, second: name },
      });
    }
    found = name;
  }
  return found;
}
