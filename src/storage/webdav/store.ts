import { openHttpClient } from '../http-open.ts';
import { redactLocation } from '../location.ts';
import { ownVariable, type Store } from '../store.ts';
import { WebdavBackend } from './webdav-backend.ts';

/** A folder of a WebDAV server. restic has no such URL. */
export const webdavStore: Store<'webdav'> = {
  connectionCount: 5,
  options: [],
  async open({ url }, options) {
    const { variables, connectionCount, environment } = options;
    const user = ownVariable(variables, 'WEBDAV_USERNAME');
    const password = ownVariable(variables, 'WEBDAV_PASSWORD');
    const login = {
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
    };
    const client = await openHttpClient(url, login, options);
    return new WebdavBackend(client, {
      location: redactLocation(`webdav:${url}`),
      url: new URL(url),
      connectionCount,
      environment,
    });
  },
};
