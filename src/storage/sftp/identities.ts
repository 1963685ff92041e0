import ssh2, {
  type BaseAgent,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';

import { readOwnFile } from './own-files.ts';
import type { SshSettings } from './ssh-settings.ts';
import { PacketReader } from './wire.ts';

const { parseKey } = ssh2.utils;

/** What the identity files of a host hold. */
export interface Identities {
  /** Private keys that can be used, in the order of the files. */
  readonly keys: readonly ParsedKey[];
  /** Public halves of all of them in SSH form, also of those that only the agent can use. */
  readonly publicKeys: readonly Buffer[];
  /** Files with a passphrase. */
  readonly locked: readonly string[];
  /** Files that hold no key that this program knows. */
  readonly unknown: readonly string[];
}

/** Reads the identity files; those that are not there are passed over, as ssh does. */
export async function readIdentities(files: readonly string[]): Promise<Identities> {
  const keys: ParsedKey[] = [];
  const publicKeys: Buffer[] = [];
  const locked: string[] = [];
  const unknown: string[] = [];
  for (const file of files) {
    const text = await readOwnFile(file);
    const publicText = await readOwnFile(`${file}.pub`);
    const publicKey = readPublicKey(publicText) ?? readPublicKey(text) ?? readOpenHalf(text);
    if (publicKey) publicKeys.push(publicKey);
    if (text === undefined) continue;
    const key = oneKey(parseKey(text));
    if (key instanceof Error) (isLocked(key) ? locked : unknown).push(file);
    else if (key.isPrivateKey()) keys.push(key);
  }
  return { keys, publicKeys, locked, unknown };
}

/**
 * The agent, offering the keys of the identity files first, and no others with `IdentitiesOnly`: servers end the login after
 * a few keys.
 */
export function chooseAgent(
  settings: SshSettings,
  identities: Identities,
): BaseAgent<ParsedKey> | undefined {
  if (settings.agent === undefined) return undefined;
  return new ChosenAgent(ssh2.createAgent(settings.agent), settings.identitiesOnly, identities);
}

type Agent = BaseAgent<string | Buffer | ParsedKey>;

class ChosenAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly #inner: Agent;
  readonly #onlyWanted: boolean;
  readonly #identities: Identities;

  constructor(inner: Agent, onlyWanted: boolean, identities: Identities) {
    super();
    this.#inner = inner;
    this.#onlyWanted = onlyWanted;
    this.#identities = identities;
  }

  override getIdentities(callback: (error: Error | null, keys?: ParsedKey[]) => void): void {
    this.#inner.getIdentities((error, found) => {
      if (error) return callback(error);
      const keys = (found ?? []).flatMap((key) => {
        const parsed = oneKey(parseKey(key as Buffer));
        return parsed instanceof Error ? [] : [parsed];
      });
      const isWanted = (key: ParsedKey): boolean => {
        const bytes = key.getPublicSSH();
        return this.#identities.publicKeys.some((known) => known.equals(bytes));
      };
      const others = this.#onlyWanted ? [] : keys.filter((key) => !isWanted(key));
      callback(null, [...keys.filter(isWanted), ...others]);
    });
  }

  override sign(
    key: ParsedKey,
    data: Buffer,
    ...[options, callback]: [options: SigningRequestOptions | SignCallback, callback?: SignCallback]
  ): void {
    if (typeof options === 'function') this.#inner.sign(key, data, options);
    else this.#inner.sign(key, data, options, callback);
  }
}

function oneKey(parsed: ParsedKey | ParsedKey[] | Error): ParsedKey | Error {
  return Array.isArray(parsed) ? (parsed[0] ?? new Error('no key')) : parsed;
}

function isLocked(error: Error): boolean {
  return /passphrase|encrypted/i.test(error.message);
}

function readPublicKey(text: string | undefined): Buffer | undefined {
  if (text === undefined || !/^(?:ssh|ecdsa)-/.test(text)) return undefined;
  const key = oneKey(parseKey(text));
  return key instanceof Error ? undefined : key.getPublicSSH();
}

/** The public half of OpenSSH's own form of private keys, which stands there unencrypted (PROTOCOL.key). */
function readOpenHalf(text: string | undefined): Buffer | undefined {
  const body = /^-----BEGIN OPENSSH PRIVATE KEY-----\r?\n([\w+/=\s]+)/.exec(text ?? '')?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  try {
    const reader = new PacketReader(bytes, magic.length);
    // Cipher, derivation of its key, and that one's options.
    for (let field = 0; field < 3; field++) reader.string();
    return reader.number() === 1 ? Buffer.from(reader.string()) : undefined;
  } catch {
    return undefined;
  }
}
