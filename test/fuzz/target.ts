import type { FuzzRandom } from './random.ts';

/** One parser or trust boundary that is fed with what an attacker may have made. */
export interface FuzzTarget {
  /** In kebab-case; the folder of its cases has the same name. */
  readonly name: string;
  /** Inputs to start from, all of them valid; made once. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Makes an input from one of the seeds. */
  mutate(seed: Uint8Array, random: FuzzRandom): Uint8Array;
  /** Feeds one input. Throws whatever must not be: the harness tells nothing apart. */
  run(input: Uint8Array): void | Promise<void>;
  /** Mutated inputs in CI. */
  readonly runsInCi: number;
  /**
   * Bytes that one run may allocate in typed arrays, by the size of its input. Default: 1 MiB and 64 times the
   * input, for decoding it, encoding it again and comparing, several times over.
   */
  readonly allocatedBytesMax?: (inputSizeBytes: number) => number;
  /** Work to be done when no more inputs come. */
  close?(): void | Promise<void>;
}
