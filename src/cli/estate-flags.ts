/** The flag that names an estate file. */
export const estateFileFlags = {
  file: {
    kind: 'text',
    name: 'file',
    short: 'f',
    placeholder: 'file',
    variable: 'ESTATE',
    description: 'estate file: what is protected, where to, and what must be true of it',
  },
} as const;

/** The flag that names an estate file. */
export type EstateFileFlags = typeof estateFileFlags;
