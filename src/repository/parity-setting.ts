import { utf8 } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Sealer } from '../kernels/seal.ts';
import type { Backend, CallOptions } from '../storage/backend.ts';
import { parityPercentMax } from './parity-file.ts';
import { parseDocument } from './repository-document.ts';

/** In the place of a pack's id: no pack has it. */
export const paritySettingName: string = '0'.repeat(64);
const handle = { type: 'parity', name: paritySettingName } as const;
const settingSizeBytesMax = 4096;

/** How much parity new packs of a repository get: kept in the repository, so that whoever writes next goes on with it. */
export class ParitySetting {
  readonly #backend: Backend;
  readonly #sealer: Sealer;
  #percent: Promise<number> | undefined;

  constructor(backend: Backend, sealer: Sealer) {
    this.#backend = backend;
    this.#sealer = sealer;
  }

  /**
   * Percent of each pack that may be lost; 0 without parity, also if the setting is damaged: a backup must not fail for
   * want of it, and check tells. Asks the storage once.
   */
  percent(options: CallOptions = {}): Promise<number> {
    this.#percent ??= this.load(options).then(
      (percent) => percent ?? 0,
      (error: unknown) => {
        this.#percent = undefined;
        throw error;
      },
    );
    return this.#percent;
  }

  /** As it is stored; undefined if that is damaged. */
  async load(options: CallOptions = {}): Promise<number | undefined> {
    try {
      const sealed = await this.#backend.get(handle, undefined, options);
      if (sealed.byteLength > settingSizeBytesMax) return undefined;
      const fields = parseDocument(this.#sealer.open(sealed), settingSizeBytesMax);
      return fields.required('percent', fields.integer('percent', parityPercentMax));
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return 0;
      if (isHoldfastError(error, 'SEAL_BROKEN', 'JSON_INVALID')) return undefined;
      throw error;
    }
  }

  /** Remembers `percent` for all who write from now on; 0 forgets it. */
  async save(percent: number, options: CallOptions = {}): Promise<void> {
    this.#percent = undefined;
    if (percent === 0) {
      await this.#backend.remove(handle, options).catch((error: unknown) => {
        if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      });
      return;
    }
    const sealed = this.#sealer.seal(utf8(`{"percent":${percent}}`));
    await this.#backend.put(handle, [sealed], { ...options, replace: true });
  }
}
