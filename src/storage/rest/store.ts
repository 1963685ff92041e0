import { openHttpClient } from '../http-open.ts';
import { redactLocation } from '../location.ts';
import { RestBackend } from '../rest-backend.ts';
import { ownVariable, type Store } from '../store.ts';

/** A server of restic's REST protocol. */
export const restStore: Store<'rest'> = {
  connectionCount: 5,
  options: [],
  async open({ url }, options) {
    const { variables, connectionCount } = options;
    const user = ownVariable(variables, 'REST_USERNAME');
    const password = ownVariable(variables, 'REST_PASSWORD');
    const login = {
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
    };
    const client = await openHttpClient(url, login, options);
    return new RestBackend(client, { location: redactLocation(`rest:${url}`), connectionCount });
  },
};
