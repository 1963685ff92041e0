import { HoldfastError } from '../../base/errors.ts';

/**
 * The absolute path in the snapshot for the content of a stream: `stdin` becomes `/stdin`, `../a/b` becomes `/a/b`.
 * @throws USAGE if there is no file name in it
 */
export function streamPath(fileName: string | Uint8Array): Uint8Array<ArrayBuffer> {
  // Latin-1 keeps every byte.
  const text = Buffer.from(fileName).toString('latin1');
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  if (names.length === 0) {
    throw new HoldfastError('USAGE', {
      message: 'a stream needs the name of a file to be stored under',
    });
  }
  return Uint8Array.from(Buffer.from(`/${names.join('/')}`, 'latin1'));
}

/** The path as the snapshot record has it. */
export function recordedPath(path: Uint8Array): string {
  return new TextDecoder().decode(path);
}
