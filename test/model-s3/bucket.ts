import { createHash } from 'node:crypto';

/** How a version is locked. */
export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly untilMs: number;
}

/** An archived object that somebody wants back. */
export interface Thawing {
  /** From when it can be read. */
  readonly readyMs: number;
  /** When it is in the archive alone again; undefined: never. */
  readonly untilMs: number | undefined;
}

/** One version of an object, or the mark that it was deleted. */
export interface Version {
  readonly id: string;
  readonly key: string;
  /** Undefined: a delete marker. */
  readonly content: Buffer | undefined;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly storageClass: string;
  /** By their headers' names. */
  readonly kept: Readonly<Record<string, string>>;
  retention: Retention | undefined;
  isHeld: boolean;
  /** Of an object of INTELLIGENT_TIERING that was not read for long. */
  archiveTier: 'ARCHIVE_ACCESS' | 'DEEP_ARCHIVE_ACCESS' | undefined;
  thawing: Thawing | undefined;
}

/** What a version begins with. */
export type NewVersion = Pick<Version, 'key' | 'content' | 'modifiedMs'> &
  Partial<Pick<Version, 'storageClass' | 'kept' | 'retention' | 'isHeld'>>;

/** How long objects are locked that do not say so themselves. */
export interface DefaultRetention {
  readonly mode: Retention['mode'];
  readonly ms: number;
  /** As it was set: `<Days>3</Days>`. */
  readonly unit: 'Days' | 'Years';
  readonly count: number;
}

/** Objects of a bucket, with all their versions. */
export class ModelBucket {
  readonly name: string;
  readonly madeMs: number;
  versioning: 'off' | 'Enabled' | 'Suspended' = 'off';
  hasLock = false;
  defaultRetention: DefaultRetention | undefined;
  /** The newest comes first. */
  readonly versions: Map<string, Version[]> = new Map();
  #count = 0;
  #sorted: string[] | undefined;

  constructor(name: string, madeMs: number) {
    this.name = name;
    this.madeMs = madeMs;
  }

  /** All keys that have any version, in the order of their bytes. */
  get keys(): readonly string[] {
    this.#sorted ??= [...this.versions.keys()].sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    return this.#sorted;
  }

  /** What a reader without a version gets; also a delete marker. */
  latest(key: string): Version | undefined {
    return this.versions.get(key)?.[0];
  }

  /** An object that is there. */
  current(key: string): Version | undefined {
    const latest = this.latest(key);
    return latest?.content ? latest : undefined;
  }

  find(key: string, id: string): Version | undefined {
    return this.versions.get(key)?.find((version) => version.id === id);
  }

  /** Adds a version; without versioning it takes the place of the one that is there. */
  add(given: NewVersion): Version {
    const { content } = given;
    const version: Version = {
      id: this.versioning === 'Enabled' ? this.#nextId() : 'null',
      storageClass: 'STANDARD',
      kept: {},
      retention: undefined,
      isHeld: false,
      ...given,
      etag: content ? `"${createHash('md5').update(content).digest('hex')}"` : '',
      archiveTier: undefined,
      thawing: undefined,
    };
    const others = this.versions.get(given.key) ?? [];
    if (others.length === 0) this.#sorted = undefined;
    const stay = version.id === 'null' ? others.filter(({ id }) => id !== 'null') : others;
    this.versions.set(given.key, [version, ...stay]);
    return version;
  }

  /** Removes one version for good. */
  drop({ key, id }: Version): void {
    const stay = (this.versions.get(key) ?? []).filter((version) => version.id !== id);
    if (stay.length > 0) this.versions.set(key, stay);
    else {
      this.versions.delete(key);
      this.#sorted = undefined;
    }
  }

  #nextId(): string {
    const count = String(++this.#count).padStart(8, '0');
    return createHash('sha256').update(`${this.name}/${count}`).digest('base64url').slice(0, 32);
  }
}
