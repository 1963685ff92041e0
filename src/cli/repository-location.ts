import { readSmallFile } from '../session/small-file.ts';
import { decodeText, trimText } from '../session/text-file.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';

/** The repository that `-r` or `--repository-file` name. @throws USAGE */
export function repositoryLocation({ globals }: Pick<Invocation, 'globals'>): string {
  const location = locationFrom({ location: globals.repository, file: globals.repositoryFile });
  if (location !== undefined) return location;
  throw usage(
    'no repository was named',
    'Name it with -r, --repository-file or the variable RESTIC_REPOSITORY.',
  );
}

/**
 * A location given itself or in a file.
 * @returns undefined if neither is given
 * @throws USAGE if both are, or the file is missing or empty
 */
export function locationFrom(given: {
  readonly location: string | undefined;
  readonly file: string | undefined;
}): string | undefined {
  const { location, file } = given;
  if (location && file) {
    throw usage('a repository and a file with its location cannot be given together');
  }
  if (!file) return location || undefined;
  const bytes = trimText(decodeText(readSmallFile(file, 'repository file')));
  if (bytes.byteLength === 0) throw usage(`the repository file ${JSON.stringify(file)} is empty`);
  const text = Buffer.from(bytes).toString('utf8');
  if (Buffer.from(text).equals(bytes)) return text;
  throw usage(`the location in the repository file ${JSON.stringify(file)} is not UTF-8`);
}
