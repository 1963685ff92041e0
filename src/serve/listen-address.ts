import { HoldfastError } from '../base/errors.ts';

/** Where the server listens. */
export type ListenAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'port'; readonly host: string | undefined; readonly port: number };

/** Where it listens if nobody says: this machine alone. */
export const listenDefault = '127.0.0.1:8000';

/**
 * Reads the value of `--listen`: `HOST:PORT`, `:PORT` for all addresses of the machine, `[IPV6]:PORT`, `unix:PATH`.
 * @throws USAGE
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path !== '') return { kind: 'socket', path };
  }
  const found = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found && port < 65_536) {
    const host = found[1] ?? found[2] ?? '';
    return { kind: 'port', host: host === '' ? undefined : host, port };
  }
  throw new HoldfastError('USAGE', {
    message: `--listen ${JSON.stringify(text)} is no address`,
    hint: 'Use HOST:PORT, :PORT for all addresses, [IPV6]:PORT or unix:PATH.',
  });
}

/** True if only processes of this machine can reach it. */
export function isNear(address: ListenAddress): boolean {
  if (address.kind === 'socket') return true;
  return /^(localhost|127(\.\d+){3}|::1)$/.test(address.host ?? '');
}
