import type { ByteText } from './byte-text.ts';
import type { Glob } from './glob.ts';
import { LiteralIndex } from './literal-index.ts';

/** Up to this many globs, trying each is faster than searching for their literals. */
const directCountMax = 12;

interface Member<Value> {
  readonly glob: Glob;
  readonly value: Value;
}

/**
 * Many globs, each with a value; finds those that match one name.
 *
 * Globs are tried only if the longest literal text in them occurs in the name, so 10,000 of them cost about as much as
 * one pass over the name. Those without literal text (`*`, `??`) are always tried.
 */
export class GlobSet<Value> {
  readonly #members: Member<Value>[] = [];
  readonly #unindexed: Member<Value>[] = [];
  #index: LiteralIndex<Member<Value>> | undefined;

  add(glob: Glob, value: Value): void {
    this.#members.push({ glob, value });
    this.#index = undefined;
  }

  get size(): number {
    return this.#members.length;
  }

  /** Appends to `found` the values of all globs that match `name`. */
  collect(name: ByteText, found: Value[]): void {
    if (this.#members.length <= directCountMax) {
      tryEach(this.#members, name, found);
      return;
    }
    this.#index ??= this.#buildIndex();
    tryEach(this.#unindexed, name, found);
    tryEach(this.#index.search(name), name, found);
  }

  #buildIndex(): LiteralIndex<Member<Value>> {
    const index = new LiteralIndex<Member<Value>>();
    this.#unindexed.length = 0;
    for (const member of this.#members) {
      if (member.glob.literal === '') this.#unindexed.push(member);
      else index.add(member.glob.literal, member);
    }
    return index;
  }
}

function tryEach<Value>(members: Iterable<Member<Value>>, name: ByteText, found: Value[]): void {
  for (const { glob, value } of members) if (glob.matches(name)) found.push(value);
}
