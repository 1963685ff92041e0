/** Flags that every command takes, before or after its name. */
export const globalFlags = {
  repository: {
    kind: 'text',
    name: 'repo',
    short: 'r',
    placeholder: 'repository',
    variable: 'REPOSITORY',
    description: 'repository to back up to or restore from',
  },
  repositoryFile: {
    kind: 'text',
    name: 'repository-file',
    placeholder: 'file',
    variable: 'REPOSITORY_FILE',
    description: 'file to read the repository location from',
  },
  passwordFile: {
    kind: 'text',
    name: 'password-file',
    short: 'p',
    placeholder: 'file',
    variable: 'PASSWORD_FILE',
    description: 'file to read the repository password from',
  },
  passwordCommand: {
    kind: 'text',
    name: 'password-command',
    placeholder: 'command',
    variable: 'PASSWORD_COMMAND',
    description: 'command whose output is the repository password',
  },
  keyHint: {
    kind: 'text',
    name: 'key-hint',
    placeholder: 'key',
    variable: 'KEY_HINT',
    description: 'id of the key to try first',
  },
  json: {
    kind: 'boolean',
    name: 'json',
    description: 'print JSON instead of text where a command supports it',
  },
  quiet: {
    kind: 'boolean',
    name: 'quiet',
    short: 'q',
    description: 'print no progress and fewer messages',
  },
  verbose: {
    kind: 'count',
    name: 'verbose',
    short: 'v',
    description: 'print more; twice or --verbose=2 prints every file',
  },
  noLock: {
    kind: 'boolean',
    name: 'no-lock',
    description: 'do not lock the repository: lets reading commands work on read-only storage',
  },
  retryLock: {
    kind: 'duration',
    name: 'retry-lock',
    placeholder: 'duration',
    description: 'wait so long for a lock that somebody else holds, such as 5m or 2h',
    defaultText: 'fail at once',
  },
  noCache: {
    kind: 'boolean',
    name: 'no-cache',
    description: 'do not use the local cache',
  },
  cacheDirectory: {
    kind: 'text',
    name: 'cache-dir',
    placeholder: 'directory',
    variable: 'CACHE_DIR',
    description: 'folder of the local cache',
    defaultText: "the system's cache folder",
  },
  cleanupCache: {
    kind: 'boolean',
    name: 'cleanup-cache',
    description: 'remove old folders from the local cache',
  },
  caCertificates: {
    kind: 'texts',
    name: 'cacert',
    placeholder: 'file',
    variable: 'CACERT',
    description:
      "file with root certificates to trust instead of the system's; for remote storage: a local folder has no use for it",
  },
  tlsClientCertificate: {
    kind: 'text',
    name: 'tls-client-cert',
    placeholder: 'file',
    variable: 'TLS_CLIENT_CERT',
    description:
      'file with a TLS client certificate and its private key in PEM form; for remote storage: a local folder has no use for it',
  },
  insecureTls: {
    kind: 'boolean',
    name: 'insecure-tls',
    description:
      'do not verify the TLS certificate of the storage (insecure); for remote storage: a local folder has no use for it',
  },
  insecureNoPassword: {
    kind: 'boolean',
    name: 'insecure-no-password',
    description: 'use an empty password for the repository (insecure)',
  },
  compression: {
    kind: 'choice',
    name: 'compression',
    placeholder: 'mode',
    choices: ['auto', 'off', 'fastest', 'better', 'max'],
    variable: 'COMPRESSION',
    description: 'how to compress new data, one of (auto|off|fastest|better|max)',
    defaultText: 'auto',
  },
  packSizeMiB: {
    kind: 'integer',
    name: 'pack-size',
    placeholder: 'size',
    minimum: 4,
    maximum: 128,
    takesZero: true,
    variable: 'PACK_SIZE',
    description: 'target size of pack files in MiB, 4 to 128',
    defaultText: '16',
  },
  uploadLimitKiB: {
    kind: 'integer',
    name: 'limit-upload',
    placeholder: 'rate',
    minimum: 0,
    maximum: 1_000_000_000,
    description: 'upload at most so many KiB/s',
    defaultText: 'no limit',
  },
  downloadLimitKiB: {
    kind: 'integer',
    name: 'limit-download',
    placeholder: 'rate',
    minimum: 0,
    maximum: 1_000_000_000,
    description: 'download at most so many KiB/s',
    defaultText: 'no limit',
  },
  options: {
    kind: 'texts',
    name: 'option',
    short: 'o',
    placeholder: 'key=value',
    description: 'set an extended option, see "holdfast options" (can be given several times)',
  },
  noExtraVerify: {
    kind: 'boolean',
    name: 'no-extra-verify',
    description: 'without effect: Holdfast always verifies what it stores',
  },
  stuckRequestTimeout: {
    kind: 'duration',
    name: 'stuck-request-timeout',
    placeholder: 'duration',
    description:
      'after what time to repeat a request to the storage that does not move; for remote storage: a local folder has no use for it',
    defaultText: '5m',
  },
  httpUserAgent: {
    kind: 'text',
    name: 'http-user-agent',
    placeholder: 'text',
    variable: 'HTTP_USER_AGENT',
    description:
      'user agent of HTTP requests; for remote storage: a local folder has no use for it',
  },
  help: {
    kind: 'boolean',
    name: 'help',
    short: 'h',
    description: 'print help for the command',
  },
} as const;

/** The flags that every command has. */
export type GlobalFlags = typeof globalFlags;
