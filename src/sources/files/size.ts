import { HoldfastError } from '../../base/errors.ts';

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * Bytes of a size as people write it: `1000`, `10k`, `3G`; units of 1024, either case.
 * @throws USAGE
 */
export function parseSizeBytes(text: string): number {
  const match = /^([0-9]+)([bkmgt]?)$/i.exec(text);
  const unit = units[match?.[2]?.toLowerCase() ?? ''];
  const sizeBytes = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(sizeBytes)) {
    throw new HoldfastError('USAGE', {
      message: 'a size must be a whole number with an optional unit b, k, m, g or t',
      details: { value: text },
    });
  }
  return sizeBytes;
}
