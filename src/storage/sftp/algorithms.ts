import type { Algorithms } from 'ssh2';

import type { SshSettings } from './ssh-settings.ts';

/** What ssh2 knows, by speed here: AES in GCM mode runs in hardware and needs no separate authenticator. */
const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
];
const exchanges = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group15-sha512',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group17-sha512',
  'diffie-hellman-group18-sha512',
];
/** Weak ones are used only where the user's own settings name them. */
const weakExchanges = [
  'diffie-hellman-group-exchange-sha1',
  'diffie-hellman-group14-sha1',
  'diffie-hellman-group1-sha1',
];
const authenticators = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha1-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
  'hmac-sha1',
];
const hostKeys = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];
const weakHostKeys = ['ssh-rsa'];

/** The names in `allowed`, or all usual ones if nothing is said. */
function pick<T extends string>(
  usual: readonly string[],
  allowed: readonly string[],
  weak: readonly string[] = [],
): T[] {
  const names = [...usual, ...weak.filter((name) => allowed.includes(name))];
  const picked = allowed.length === 0 ? usual : names.filter((name) => allowed.includes(name));
  // An empty list would mean all to ssh2; the usual ones then fail with a message of its own.
  return (picked.length === 0 ? usual : picked) as T[];
}

/**
 * What is offered to a server: what the user's settings allow, fast ciphers first, and first of the host keys those of
 * types that are known, as ssh does.
 */
export function chooseAlgorithms(
  { algorithms }: SshSettings,
  knownTypes: readonly string[],
): Algorithms {
  const isKnown = (name: string): boolean =>
    knownTypes.includes(name.startsWith('rsa-sha2') ? 'ssh-rsa' : name);
  const keys = pick<string>(hostKeys, algorithms.hostkeyalgorithms, weakHostKeys);
  const sorted = [...keys.filter(isKnown), ...keys.filter((name) => !isKnown(name))];
  return {
    cipher: pick(ciphers, algorithms.ciphers),
    kex: pick(exchanges, algorithms.kexalgorithms, weakExchanges),
    hmac: pick(authenticators, algorithms.macs),
    serverHostKey: sorted as NonNullable<Algorithms['serverHostKey']> & string[],
    compress: ['none'],
  };
}
