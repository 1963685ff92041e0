import type { Command } from '../command.ts';

/** Flags that say where repositories and users are. */
export const servedFlags = {
  path: {
    kind: 'text',
    name: 'path',
    placeholder: 'directory',
    description: 'folder that holds the repositories; it must be there',
  },
  userFile: {
    kind: 'text',
    name: 'htpasswd-file',
    placeholder: 'file',
    description: 'file with users and the hashes of their passwords',
    defaultText: 'the file .htpasswd in the folder',
  },
} as const;

const accessFlags = {
  listen: {
    kind: 'text',
    name: 'listen',
    placeholder: 'address',
    description:
      'where to listen: HOST:PORT, :PORT for all addresses of this machine, or unix:PATH',
    defaultText: '127.0.0.1:8000',
  },
  isAppendOnly: {
    kind: 'boolean',
    name: 'append-only',
    description: 'remove nothing but locks: clients add snapshots and take none away',
  },
  isPrivate: {
    kind: 'boolean',
    name: 'private-repos',
    description: 'let users reach only the repositories below a folder of their name',
  },
  noAuthentication: {
    kind: 'boolean',
    name: 'no-auth',
    description: 'serve everybody who reaches the server, without users and passwords (insecure)',
  },
  proxyHeader: {
    kind: 'text',
    name: 'proxy-auth-username',
    placeholder: 'header',
    description:
      'take the user from this header, which a proxy sets: only on an address of this machine or a unix socket',
  },
} as const;

const tlsFlags = {
  tls: { kind: 'boolean', name: 'tls', description: 'speak TLS (https)' },
  tlsCertificate: {
    kind: 'text',
    name: 'tls-cert',
    placeholder: 'file',
    description: 'certificate with its chain in PEM form; read again when it changes',
    defaultText: 'the file public_key in the folder',
  },
  tlsKey: {
    kind: 'text',
    name: 'tls-key',
    placeholder: 'file',
    description: 'private key of the certificate in PEM form',
    defaultText: 'the file private_key in the folder',
  },
  tlsVersion: {
    kind: 'choice',
    name: 'tls-min-ver',
    placeholder: 'version',
    choices: ['1.2', '1.3'],
    description: 'oldest version of TLS to speak, one of (1.2|1.3)',
    defaultText: '1.2',
  },
} as const;

const otherFlags = {
  sizeBytesMax: {
    kind: 'size',
    name: 'max-size',
    placeholder: 'size',
    description: 'how much all repositories together may hold, such as 500g',
    defaultText: 'no limit',
  },
  connectionCountMax: {
    kind: 'integer',
    name: 'max-connections',
    placeholder: 'count',
    minimum: 1,
    maximum: 100_000,
    description: 'connections at once; one address may hold half of them',
    defaultText: '1024',
  },
  isForGroup: {
    kind: 'boolean',
    name: 'group-accessible-repos',
    description: 'let the group of the files read what is stored, and connect to a unix socket',
  },
  log: {
    kind: 'text',
    name: 'log',
    placeholder: 'file',
    description: 'write a line for each request, in the combined format; - for standard output',
  },
  prometheus: {
    kind: 'boolean',
    name: 'prometheus',
    description: 'give metrics at /metrics: to users, with --private-repos to the user "metrics"',
  },
  prometheusForAll: {
    kind: 'boolean',
    name: 'prometheus-no-auth',
    description: 'give the metrics to everybody',
  },
  noVerifyUpload: {
    kind: 'boolean',
    name: 'no-verify-upload',
    description: 'without effect: what is uploaded is always verified against its name',
  },
} as const;

/** Flags of `serve-repository`. */
export type ServeFlags = typeof servedFlags &
  typeof accessFlags &
  typeof tlsFlags &
  typeof otherFlags;

/** `holdfast serve-repository`. */
export const command: Command<ServeFlags> = {
  name: 'serve-repository',
  summary: 'Serve repositories of a folder to other machines (REST protocol)',
  description: `
Serves the repositories below a folder to restic, Holdfast and whoever else speaks restic's REST protocol, as
"rest:http://user:password@host:8000/name/". It knows no repository password and needs none. Flags, users and files are those of
restic's rest-server, so it can take its place.

What comes in is verified against its name, is on the disk before it is answered, and never replaces a file. With --append-only a
client whose credentials were stolen can destroy nothing that is stored. Users are made with "holdfast serve-user".

Stop it with SIGTERM or Ctrl-C: requests at work end within five seconds. docs/SERVE.md has more: TLS, systemd, Prometheus, what
append-only protects from and what not.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...servedFlags, ...accessFlags, ...tlsFlags, ...otherFlags },
  examples: [
    {
      text: 'to all machines of the network, each user with repositories of his own',
      command:
        'holdfast serve-repository --path /srv/backup --listen :8000 --private-repos --append-only --tls',
    },
    {
      text: 'behind a proxy on this machine, with metrics',
      command: 'holdfast serve-repository --path /srv/backup --prometheus --max-size 2t --log -',
    },
    {
      text: 'on a socket, to whoever may open it',
      command:
        'holdfast serve-repository --path /srv/backup --listen unix:/run/backup.sock --no-auth',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) =>
    (await import('../actions/serve-repository.ts')).serveRepository(invocation),
};
