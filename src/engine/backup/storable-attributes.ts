import type { ExtendedAttribute } from '../../sources/source.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The attributes that a tree can hold: their names are JSON text there, and what is not UTF-8 would come back under
 * another name. Usually the same array. @see docs/FORMAT.md#trees
 */
export function storableAttributes(
  attributes: readonly ExtendedAttribute[],
): readonly ExtendedAttribute[] {
  return attributes.every(isStorable) ? attributes : attributes.filter(isStorable);
}

/** True if no attribute is lost by storing them. */
export function areStorable(attributes: readonly ExtendedAttribute[]): boolean {
  return attributes.every(isStorable);
}

function isStorable({ name }: ExtendedAttribute): boolean {
  for (let i = 0; i < name.length; i++) if ((name[i] ?? 0) >= 0x80) return isText(name);
  return true;
}

function isText(name: Uint8Array): boolean {
  try {
    decoder.decode(name);
    return true;
  } catch {
    return false;
  }
}
