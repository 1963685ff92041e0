/** Flags of commands that ask a server. */
export const serverFlags = {
  server: {
    kind: 'text',
    name: 'server',
    placeholder: 'url',
    variable: 'SERVER',
    description: 'the server to ask',
    defaultText: 'the one that "holdfast login" was for',
  },
  tokenFile: {
    kind: 'text',
    name: 'token-file',
    placeholder: 'file',
    variable: 'TOKEN_FILE',
    description: 'file that holds a token of the server',
    defaultText: 'what "holdfast login" has kept',
  },
} as const;

/** Flags of commands that ask a server. */
export type ServerFlags = typeof serverFlags;
