import { HoldfastError } from '../../base/errors.ts';
import type { Place } from '../place.ts';
import { describePlace } from '../system-error.ts';

/** The error for a call that `node:fs` has no way to make. */
export function unsupported(call: string, place: Place): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: 'this system has no way to do it',
    details: { call, path: describePlace(place) },
  });
}
