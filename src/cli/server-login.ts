import path from 'node:path';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { makeDirectories, splitPath } from '../platform/folders.ts';
import { stateDirectory } from '../platform/machine.ts';
import { readWholeFile, writeFileAtomic } from '../platform/whole-file.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';

/** Who asks a server. */
export interface ServerLogin {
  /** `http://127.0.0.1:8640`. */
  readonly url: string;
  readonly token: string;
}

/** Bytes of a file that holds a token at most. */
const fileSizeBytesMax = 64 * 1024;

function loginPath({ variables }: Pick<Invocation, 'variables'>): string {
  const folder = stateDirectory(variables.all);
  if (folder === undefined) throw usage('there is no folder for state', 'Set HOME.');
  return path.join(folder, 'server-login.json');
}

/** Keeps a login for the user alone. @returns where */
export function keepLogin(invocation: Pick<Invocation, 'variables'>, login: ServerLogin): string {
  const file = loginPath(invocation);
  makeDirectories(splitPath(Buffer.from(file)).parent);
  writeFileAtomic(Buffer.from(file), Buffer.from(`${JSON.stringify(login)}\n`));
  return file;
}

/** What was kept; undefined if nothing was. @throws USAGE */
export function keptLogin(invocation: Pick<Invocation, 'variables'>): ServerLogin | undefined {
  const file = loginPath(invocation);
  try {
    const text = Buffer.from(readWholeFile(Buffer.from(file), { sizeBytesMax: fileSizeBytesMax }));
    const { url, token } = JSON.parse(text.toString('utf8')) as Partial<ServerLogin>;
    if (typeof url === 'string' && typeof token === 'string') return { url, token };
    throw new SyntaxError('its fields are missing');
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    if (isHoldfastError(error)) throw error;
    throw new HoldfastError('USAGE', {
      message: `the file ${JSON.stringify(file)} holds no login`,
      hint: 'Log in again with "holdfast login".',
    });
  }
}

/**
 * The address of a server, without a path.
 * @throws USAGE for what is none, and for http to another machine: the token would cross the network unencrypted
 */
export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    !url ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username !== '' ||
    url.password !== ''
  ) {
    throw usage(
      `${JSON.stringify(text)} is no address of a server`,
      'It is such as http://127.0.0.1:8640.',
    );
  }
  const isNear = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol === 'http:' && !isNear) {
    throw usage(
      'a server on another machine is asked by https alone: a token would cross the network unencrypted',
      'Put a proxy with TLS before it, and name that.',
    );
  }
  return url.origin;
}
