import { toHex, utf8 } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';

const nameBytesMax = 255;

/**
 * The name under which a file is written until it is whole. It follows from the final name, so that a
 * later run finds what an interrupted one left.
 */
export function temporaryName(name: Uint8Array): Uint8Array<ArrayBuffer> {
  const temporary = utf8(`.holdfast-${toHex(sha256(name).subarray(0, 12))}.part`);
  return temporary.subarray(0, nameBytesMax);
}
