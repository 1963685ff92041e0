import { HoldfastError } from '../../base/errors.ts';
import { type Random, randomBytes } from '../../base/random.ts';
import { fingerprint, KnownHosts, keyTypeOf, knownHostsLine, knownName } from './known-hosts.ts';
import { appendOwnLine, readOwnFile } from './own-files.ts';
import type { SshSettings } from './ssh-settings.ts';

/** Judges the key of one host. */
export class HostKeyJudge {
  readonly #settings: SshSettings;
  readonly #random: Random;
  readonly #names: readonly string[];
  readonly #known: KnownHosts;
  /** Is this host's for as long as the judge lives: a key once taken does not change within a connection. */
  #accepted: Buffer | undefined;

  private constructor(settings: SshSettings, random: Random, known: KnownHosts) {
    this.#settings = settings;
    this.#random = random;
    this.#known = known;
    const { hostKeyAlias, host, port } = settings;
    this.#names = hostKeyAlias
      ? [hostKeyAlias.toLowerCase()]
      : [...new Set([knownName(host, port), knownName(host, 22)])];
  }

  /** Reads the files of known hosts. */
  static async for(settings: SshSettings, random: Random): Promise<HostKeyJudge> {
    const files = await Promise.all(
      settings.knownHostsFiles.map(async (path) => ({
        path,
        text: (await readOwnFile(path)) ?? '',
      })),
    );
    return new HostKeyJudge(settings, random, new KnownHosts(files));
  }

  /** Types of keys that are known of the host: a server asked for another would show one that is not. */
  get knownTypes(): readonly string[] {
    return this.#known.keyTypes(this.#names);
  }

  /** @throws SERVER_NOT_TRUSTED */
  async judge(blob: Buffer): Promise<void> {
    if (this.#accepted?.equals(blob)) return;
    const verdict = this.#known.judge(this.#names, blob);
    if (verdict.kind === 'changed') throw this.#changed(blob, verdict.place);
    if (verdict.kind === 'revoked') throw this.#revoked(blob, verdict.place);
    if (verdict.kind === 'unknown') {
      if (!this.#settings.acceptsNew) throw this.#unknown(blob, verdict);
      await this.#remember(blob);
    }
    this.#accepted = blob;
  }

  async #remember(blob: Buffer): Promise<void> {
    const [file] = this.#settings.knownHostsFiles;
    const [name = ''] = this.#names;
    const salt = this.#settings.hashesNames ? randomBytes(this.#random, 20) : undefined;
    if (file === undefined) return;
    // As in ssh: it is taken all the same if it cannot be written down.
    await appendOwnLine(file, knownHostsLine(name, blob, salt)).catch(() => {});
  }

  #changed(blob: Buffer, place: string): HoldfastError {
    return new HoldfastError('SERVER_NOT_TRUSTED', {
      message: `THE HOST KEY OF ${this.#shownHost} HAS CHANGED: somebody may be answering in its place`,
      details: { ...this.#details(blob), knownBy: place },
      hint: 'Nothing was sent. Ask who runs the server. If its key really is a new one, remove that line of known hosts, compare the fingerprint and connect with ssh once.',
    });
  }

  #revoked(blob: Buffer, place: string): HoldfastError {
    return new HoldfastError('SERVER_NOT_TRUSTED', {
      message: `the host key of ${this.#shownHost} is revoked`,
      details: { ...this.#details(blob), revokedBy: place },
      hint: 'Nothing was sent. Ask who runs the server.',
    });
  }

  #unknown(
    blob: Buffer,
    verdict: { readonly otherTypes: readonly string[]; readonly authority: boolean },
  ): HoldfastError {
    const { port, alias } = this.#settings;
    const connect = port === 22 ? `ssh ${alias}` : `ssh -p ${port} ${alias}`;
    const authority = verdict.authority
      ? ' A line with @cert-authority is there, but certificates of hosts are not supported.'
      : '';
    return new HoldfastError('SERVER_NOT_TRUSTED', {
      message: `the host key of ${this.#shownHost} is not known`,
      details: {
        ...this.#details(blob),
        ...(verdict.otherTypes.length > 0 && { knownTypes: verdict.otherTypes.join(' ') }),
      },
      hint: `Compare this fingerprint with the server's, then connect once with "${connect}" to accept it.${authority}`,
    });
  }

  get #shownHost(): string {
    return this.#names[0] ?? '';
  }

  #details(blob: Buffer): Record<string, string> {
    return { key: keyTypeOf(blob), fingerprint: fingerprint(blob) };
  }
}
