import { createHash, createHmac } from 'node:crypto';

/** A line of a file of known hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
interface KnownLine {
  readonly marker: string | undefined;
  /** Patterns with commas between, or a hashed name. */
  readonly hosts: string;
  readonly keyType: string;
  /** In base64. */
  readonly key: string;
  /** File and line for people: `known_hosts:3`. */
  readonly place: string;
}

/** A file of known hosts. */
export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

/** What the files of known hosts say of a key. */
export type HostKeyVerdict =
  | { readonly kind: 'known' }
  /** `otherTypes`: kinds of keys of this host that are known. `authority`: only a certificate would do. */
  | {
      readonly kind: 'unknown';
      readonly otherTypes: readonly string[];
      readonly authority: boolean;
    }
  | { readonly kind: 'changed'; readonly place: string }
  | { readonly kind: 'revoked'; readonly place: string };

/** A host as those files name it: `host`, or `[host]:port` for another port than 22. */
export function knownName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** Known hosts, all files together. */
export class KnownHosts {
  readonly #lines: readonly KnownLine[];

  constructor(files: readonly KnownHostsFile[]) {
    this.#lines = files.flatMap(({ path, text }) => parseLines(path, text));
  }

  /** Types of the keys that are known of a host, in the order of the files: `ssh-ed25519`. */
  keyTypes(names: readonly string[]): string[] {
    const lines = names.flatMap((name) => this.#linesOf(name));
    return [...new Set(lines.filter(({ marker }) => !marker).map(({ keyType }) => keyType))];
  }

  /**
   * Judges a host's key.
   *
   * @param names of the host; if nothing is known under the first, the others count, as a key without its port
   * @param blob the key as it comes over the line
   */
  judge(names: readonly string[], blob: Buffer): HostKeyVerdict {
    const key = blob.toString('base64');
    const keyType = keyTypeOf(blob);
    const revoked = this.#lines.find(
      (line) =>
        line.marker === '@revoked' &&
        line.key === key &&
        names.some((name) => matchesHosts(line.hosts, name)),
    );
    if (revoked) return { kind: 'revoked', place: revoked.place };
    const [first = ''] = names;
    const lines = this.#linesOf(first);
    const plain = lines.filter(({ marker }) => marker === undefined);
    const known = names.flatMap((name) => this.#linesOf(name));
    if (known.some((line) => line.marker === undefined && line.key === key))
      return { kind: 'known' };
    const changed = plain.find((line) => line.keyType === keyType);
    if (changed) return { kind: 'changed', place: changed.place };
    return {
      kind: 'unknown',
      otherTypes: [...new Set(plain.map((line) => line.keyType))],
      authority: lines.some(({ marker }) => marker === '@cert-authority'),
    };
  }

  #linesOf(name: string): KnownLine[] {
    return this.#lines.filter(({ hosts }) => matchesHosts(hosts, name));
  }
}

/** The line that makes a key known. @param salt 20 random bytes to hide the name, as with `HashKnownHosts` */
export function knownHostsLine(name: string, blob: Buffer, salt: Uint8Array | undefined): string {
  return `${salt ? hashName(name, salt) : name} ${keyTypeOf(blob)} ${blob.toString('base64')}`;
}

/** As OpenSSH shows a key: `SHA256:…`. */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** Type of a key as it comes over the line; `''` if it is none. */
export function keyTypeOf(blob: Buffer): string {
  if (blob.length < 4) return '';
  return blob.toString('latin1', 4, 4 + Math.min(64, blob.readUInt32BE(0)));
}

function parseLines(path: string, text: string): KnownLine[] {
  return text.split('\n').flatMap((line, index) => {
    const words = line.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [hosts = '', keyType, key] = words;
    if (hosts.startsWith('#') || keyType === undefined || key === undefined) return [];
    return [{ marker, hosts, keyType, key, place: `${path}:${index + 1}` }];
  });
}

function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) {
    const salt = /^\|1\|([A-Za-z0-9+/=]+)\|/.exec(hosts)?.[1];
    return salt !== undefined && hashName(name, Buffer.from(salt, 'base64')) === hosts;
  }
  const patterns = hosts.toLowerCase().split(',');
  const negated = patterns.filter((pattern) => pattern.startsWith('!'));
  if (negated.some((pattern) => matchesPattern(pattern.slice(1), name))) return false;
  return patterns.some((pattern) => matchesPattern(pattern, name));
}

/** `*` stands for any characters, `?` for one. */
function matchesPattern(pattern: string, name: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === name;
  const source = pattern.replaceAll(/[^*?]+|\*+|\?/g, (piece) => {
    if (piece === '?') return '.';
    return piece.startsWith('*') ? '.*' : piece.replaceAll(/[\\^$.|+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 's').test(name);
}

function hashName(name: string, salt: Uint8Array): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${Buffer.from(salt).toString('base64')}|${hash}`;
}
