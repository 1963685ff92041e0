import type { TextsFlag } from './command.ts';

/** Flags that choose entries of a snapshot by patterns. */
export type SelectionFlags = Readonly<
  Record<
    | 'includes'
    | 'includesIgnoringCase'
    | 'includeFiles'
    | 'includeFilesIgnoringCase'
    | 'excludes'
    | 'excludesIgnoringCase'
    | 'excludeFiles'
    | 'excludeFilesIgnoringCase',
    TextsFlag
  >
>;

/** @param verb what is done with what is included: `restore` */
export function selectionFlags(verb: string): SelectionFlags {
  const sameText = 'the same, but upper and lower case do not matter';
  const pattern = { kind: 'texts', placeholder: 'pattern' } as const;
  const file = { kind: 'texts', placeholder: 'file' } as const;
  return {
    includes: {
      ...pattern,
      name: 'include',
      short: 'i',
      description: `${verb} only what matches the pattern (can be given several times)`,
    },
    includesIgnoringCase: { ...pattern, name: 'iinclude', description: sameText },
    includeFiles: {
      ...file,
      name: 'include-file',
      description: 'read include patterns from a file (can be given several times)',
    },
    includeFilesIgnoringCase: { ...file, name: 'iinclude-file', description: sameText },
    excludes: {
      ...pattern,
      name: 'exclude',
      short: 'e',
      description: 'leave out what matches the pattern (can be given several times)',
    },
    excludesIgnoringCase: { ...pattern, name: 'iexclude', description: sameText },
    excludeFiles: {
      ...file,
      name: 'exclude-file',
      description: 'read exclude patterns from a file (can be given several times)',
    },
    excludeFilesIgnoringCase: { ...file, name: 'iexclude-file', description: sameText },
  };
}
