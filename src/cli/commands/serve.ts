import type { Command } from '../command.ts';

const flags = {
  listen: {
    kind: 'text',
    name: 'listen',
    placeholder: 'address',
    variable: 'LISTEN',
    description: 'address of this machine and port to listen on',
    defaultText: '127.0.0.1:8640',
  },
  origin: {
    kind: 'text',
    name: 'origin',
    placeholder: 'url',
    variable: 'ORIGIN',
    description: 'where browsers find it behind a proxy, such as https://backup.example.org',
  },
  data: {
    kind: 'text',
    name: 'data',
    placeholder: 'directory',
    variable: 'DATA_DIR',
    description: 'folder of its state, the key of its secrets, and caches',
    defaultText: 'server, in the folder for state of the user',
  },
  database: {
    kind: 'text',
    name: 'database',
    placeholder: 'url',
    variable: 'DATABASE',
    description: 'postgres://USER@HOST/NAME to keep its state in PostgreSQL',
    defaultText: 'an SQLite file in its folder',
  },
  newKey: {
    kind: 'boolean',
    name: 'new-key',
    description: 'start though the key of its secrets is lost: they must be given anew',
  },
} as const;

/** Flags of `holdfast serve`. */
export type ServeFlags = typeof flags;

/** `holdfast serve`; what it does is loaded only when it runs. */
export const command: Command<ServeFlags> = {
  name: 'serve',
  summary: 'Run the server: policies, schedules and runs, by an HTTP API',
  description: `
Runs the server. It knows repositories, sources and policies, runs what is due, exactly once, and tells what is overdue. All of it is
done by its HTTP API (docs/SERVER.md). When it starts for the first time it prints a link by which the first user is made; the link
counts once and for an hour.

It listens on this machine alone. To reach it from others put a proxy with TLS before it and name that by --origin. Stop it with
SIGTERM or Ctrl-C: its runs end in order, within five seconds, and are taken up again by the next start.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'on this machine', command: 'holdfast serve' },
    {
      text: 'behind a proxy, with its state in PostgreSQL',
      command:
        'holdfast serve --database postgres://holdfast@localhost/holdfast --origin https://backup.example.org',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/serve.ts')).serve(invocation),
};
