import { HoldfastError } from '../base/errors.ts';
import type { Estate } from '../contracts/estate.ts';
import { readEstate } from '../policy/read-estate.ts';
import { readSmallFile } from '../session/small-file.ts';
import type { EstateFileFlags } from './estate-flags.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';

/** Bytes of an estate file at most. */
const estateSizeBytesMax: number = 8 * 1024 * 1024;

/** Problems of an estate file that are told. */
const problemsToldMax = 100;

/**
 * The estate of the file that -f names. Tells all that is wrong with it on standard error.
 *
 * @throws USAGE if there is no such file, or something is wrong with it
 */
export function estateOf({ flags, output, environment }: Invocation<EstateFileFlags>): {
  readonly path: string;
  readonly estate: Estate;
} {
  const path = flags.file;
  if (path === undefined) {
    throw usage('no estate file was named', 'Name it with -f or the variable HOLDFAST_ESTATE.');
  }
  const text = Buffer.from(readSmallFile(path, 'estate file', estateSizeBytesMax)).toString('utf8');
  const parsed = readEstate(text, environment.clock.wallMs());
  if ('estate' in parsed) return { path, estate: parsed.estate };
  const { problems } = parsed;
  for (const { line, column, field, message } of problems.slice(0, problemsToldMax)) {
    if (output.isJson) {
      output.jsonError({ message_type: 'error', file: path, line, column, field, message });
    } else {
      output.errorLine(`${path}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`);
    }
  }
  const count = problems.length === 1 ? 'one error' : `${problems.length} errors`;
  throw new HoldfastError('USAGE', {
    message: `the estate file ${JSON.stringify(path)} has ${count}`,
    hint: 'Nothing was run. docs/ESTATE.md explains the fields; "holdfast estate example" prints a file to begin with.',
  });
}
