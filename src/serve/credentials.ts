import { credentialsSizeBytesMax } from './limits.ts';

/** Who a request says that it comes from. */
export interface Credentials {
  readonly name: string;
  readonly password: string;
}

/** Reads the header `Authorization` of the scheme Basic. @see RFC 7617 @returns undefined for anything else */
export function parseCredentials(header: string | undefined): Credentials | undefined {
  const found = /^Basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(header ?? '');
  if (!found?.[1] || found[1].length > credentialsSizeBytesMax) return undefined;
  const text = Buffer.from(found[1], 'base64').toString('utf8');
  const colon = text.indexOf(':');
  // A zero byte would end the password for bcrypt.
  if (colon < 1 || text.includes('\0')) return undefined;
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
