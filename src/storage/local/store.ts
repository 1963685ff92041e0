import type { Store } from '../store.ts';
import { LocalBackend } from './local-backend.ts';

/** A folder of this machine. */
export const localStore: Store<'local'> = {
  connectionCount: 2,
  options: [],
  open: ({ path }, options) => LocalBackend.open(path, options),
};
