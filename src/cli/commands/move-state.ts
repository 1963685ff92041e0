import type { Command } from '../command.ts';

const flags = {
  from: {
    kind: 'text',
    name: 'from',
    placeholder: 'place',
    description: 'where the state is: the folder of --data, or postgres://USER@HOST/NAME',
  },
  to: {
    kind: 'text',
    name: 'to',
    placeholder: 'place',
    description: 'where it is to be, in the same forms; nothing may be there yet',
  },
} as const;

/** Flags of `holdfast move-state`. */
export type MoveStateFlags = typeof flags;

/** `holdfast move-state`; what it does is loaded only when it runs. */
export const command: Command<MoveStateFlags> = {
  name: 'move-state',
  summary: 'Copy the state of a server to PostgreSQL, or back',
  description: `
Copies all that a server knows (repositories, policies, sources, users, tokens, runs, audit records) from its SQLite file to an empty
PostgreSQL database, or back. The server must be stopped. All is copied in one transaction and then compared with what was read; if
anything fails, nothing is there. The source stays as it is: start the server on the new place only.

The key that sealed the secrets ("secret.key") stays in the folder of --data, which the server needs with PostgreSQL, too. To a
folder that has another key, or none, nothing is copied. A password in the URL is seen by other users of the machine while this runs:
give it by the variable PGPASSWORD, or by a password file (~/.pgpass).`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    {
      text: 'to PostgreSQL',
      command: 'holdfast move-state --from /var/lib/holdfast --to postgres://holdfast@db/holdfast',
    },
    {
      text: 'and back',
      command: 'holdfast move-state --from postgres://holdfast@db/holdfast --to /srv/holdfast',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/move-state.ts')).moveStateTo(invocation),
};
