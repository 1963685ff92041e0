/** Variables that say the same in different ways: setting one of them replaces the others of lower rank. */
const families: readonly (readonly string[])[] = [
  ['REPOSITORY', 'REPOSITORY_FILE'],
  ['PASSWORD', 'PASSWORD_FILE', 'PASSWORD_COMMAND'],
  ['FROM_REPOSITORY', 'FROM_REPOSITORY_FILE'],
  ['FROM_PASSWORD', 'FROM_PASSWORD_FILE', 'FROM_PASSWORD_COMMAND'],
];

/** A variable that is set, with the name it was found under. */
export interface VariableValue {
  readonly name: string;
  readonly value: string;
}

/** The environment variables of the process. An empty one counts as not set. */
export class Variables {
  readonly #all: Readonly<Record<string, string | undefined>>;

  constructor(all: Readonly<Record<string, string | undefined>>) {
    this.#all = all;
  }

  /**
   * `HOLDFAST_<name>`, or else `RESTIC_<name>`; the latter only if no variable of the same family is set with
   * `HOLDFAST_`, so that `HOLDFAST_PASSWORD` wins over `RESTIC_PASSWORD_FILE`.
   */
  find(name: string): VariableValue | undefined {
    const own = this.#read(`HOLDFAST_${name}`);
    if (own) return own;
    const family = families.find((names) => names.includes(name)) ?? [];
    if (family.some((other) => this.#read(`HOLDFAST_${other}`))) return undefined;
    return this.#read(`RESTIC_${name}`);
  }

  /** The value of `find`. */
  get(name: string): string | undefined {
    return this.find(name)?.value;
  }

  /** A variable under its own full name, such as `HOME`. */
  plain(name: string): string | undefined {
    return this.#read(name)?.value;
  }

  /** All variables as they are. */
  get all(): Readonly<Record<string, string | undefined>> {
    return this.#all;
  }

  #read(name: string): VariableValue | undefined {
    const value = this.#all[name];
    return value ? { name, value } : undefined;
  }
}
