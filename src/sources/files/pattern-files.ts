import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { decodeText, linesOf, type ReadBytes, readListFile, trimSpace } from './text-file.ts';

/** Values of environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Patterns of `--exclude-file`, `--iexclude-file` and their like, in order of files and lines: trimmed, without empty
 * lines and comments, variables replaced.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 * @see docs/FORMAT.md
 */
export function readPatternFiles(
  names: readonly string[],
  options: { readonly variables: Variables; readonly read?: ReadBytes },
): Uint8Array[] {
  const read = options.read ?? readListFile;
  return names.flatMap((name) => decodePatterns(read(name), options.variables));
}

/** The patterns in the bytes of one pattern file. */
export function decodePatterns(bytes: Uint8Array, variables: Variables): Uint8Array[] {
  return linesOf(decodeText(bytes))
    .map(trimSpace)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => bytesOf(expandVariables(line, variables)));
}

/** What `$` may be followed by: `{NAME}`, a special character, a name. `{}` and an open `{` are swallowed. */
const reference = /\$(?:\{([^}]*)\}|(\{)|([*#$@!?0-9-])|([A-Za-z_][A-Za-z0-9_]*))/g;

/**
 * Replaces `$NAME` and `${NAME}` as Go's `os.Expand`: a variable that is not set becomes empty, `$$` becomes `$`, a `$`
 * before anything else stays.
 */
export function expandVariables(text: ByteText, variables: Variables): ByteText {
  return text.replace(
    reference,
    (_all, braced?: ByteText, open?: ByteText, special?: ByteText, plain?: ByteText) => {
      if (open !== undefined) return '';
      const name = braced ?? special ?? plain ?? '';
      // A name such as __proto__ stands for what every object has.
      const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
      return name === '$' ? '$' : byteTextOf(value ?? '');
    },
  );
}
