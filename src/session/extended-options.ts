import { HoldfastError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import { schemes } from '../storage/location.ts';

/**
 * Reads the values of `-o`. The store in use refuses keys that it does not know; options for other stores have no
 * effect, as in restic.
 *
 * @throws USAGE for what is no `KEY=VALUE`, or names no known store. Values are not shown: they may be secret.
 */
export function parseExtendedOptions(texts: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const key = (at < 0 ? text : text.slice(0, at)).trim().toLowerCase();
    if (at < 0 || key === '') {
      throw usage(`option ${JSON.stringify(key)} has no value`, 'Write it as -o KEY=VALUE.');
    }
    refuseUnknownScheme(key);
    options.set(key, text.slice(at + 1).trim());
  }
  return options;
}

function refuseUnknownScheme(key: string): void {
  const scheme = key.split('.')[0] ?? '';
  if (key.includes('.') && schemes.some((known) => known === scheme)) return;
  const meant = nearest(scheme, schemes);
  throw usage(
    `there is no option ${JSON.stringify(key)}`,
    meant && key.includes('.')
      ? `Did you mean ${meant}${key.slice(scheme.length)}?`
      : 'List them with "holdfast options".',
  );
}

function usage(message: string, hint: string): HoldfastError {
  return new HoldfastError('USAGE', { message, hint });
}
