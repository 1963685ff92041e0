import { HoldfastError } from '../../base/errors.ts';
import { type ByteText, byteTextOf } from '../files/byte-text.ts';
import { cleanPath } from '../files/clean-path.ts';

/**
 * The absolute path in the snapshot for the content of a stream: `stdin` becomes `/stdin`, `../a/b` becomes `/a/b`.
 * @throws USAGE if there is no file name in it
 */
export function streamPath(fileName: string | Uint8Array): ByteText {
  const path = cleanPath(`/${byteTextOf(fileName)}`);
  if (path === '/') {
    throw new HoldfastError('USAGE', {
      message: 'a stream needs the name of a file to be stored under',
    });
  }
  return path;
}
