import { HoldfastError } from '../base/errors.ts';
import type { CommandEntry } from './command.ts';

interface CommandModule {
  readonly command: CommandEntry;
}

// Loaded one by one, so that a command pays only for itself.
const loaders = {
  alerts: () => import('./commands/alerts.ts'),
  apply: () => import('./commands/apply.ts'),
  backup: () => import('./commands/backup.ts'),
  cache: () => import('./commands/cache.ts'),
  cat: () => import('./commands/cat.ts'),
  check: () => import('./commands/check.ts'),
  completion: () => import('./commands/completion.ts'),
  copy: () => import('./commands/copy.ts'),
  diff: () => import('./commands/diff.ts'),
  dump: () => import('./commands/dump.ts'),
  estate: () => import('./commands/estate.ts'),
  export: () => import('./commands/export.ts'),
  features: () => import('./commands/features.ts'),
  find: () => import('./commands/find.ts'),
  forget: () => import('./commands/forget.ts'),
  generate: () => import('./commands/generate.ts'),
  help: () => import('./commands/help.ts'),
  immutability: () => import('./commands/immutability.ts'),
  init: () => import('./commands/init.ts'),
  key: () => import('./commands/key.ts'),
  list: () => import('./commands/list.ts'),
  login: () => import('./commands/login.ts'),
  ls: () => import('./commands/ls.ts'),
  migrate: () => import('./commands/migrate.ts'),
  'move-state': () => import('./commands/move-state.ts'),
  options: () => import('./commands/options.ts'),
  parity: () => import('./commands/parity.ts'),
  policies: () => import('./commands/policies.ts'),
  prune: () => import('./commands/prune.ts'),
  'rebuild-index': () => import('./commands/rebuild-index.ts'),
  recover: () => import('./commands/recover.ts'),
  repair: () => import('./commands/repair.ts'),
  repositories: () => import('./commands/repositories.ts'),
  rescue: () => import('./commands/rescue.ts'),
  restore: () => import('./commands/restore.ts'),
  rewrite: () => import('./commands/rewrite.ts'),
  run: () => import('./commands/run.ts'),
  runs: () => import('./commands/runs.ts'),
  serve: () => import('./commands/serve.ts'),
  'serve-repository': () => import('./commands/serve-repository.ts'),
  'serve-user': () => import('./commands/serve-user.ts'),
  snapshots: () => import('./commands/snapshots.ts'),
  sources: () => import('./commands/sources.ts'),
  stats: () => import('./commands/stats.ts'),
  tag: () => import('./commands/tag.ts'),
  tokens: () => import('./commands/tokens.ts'),
  unlock: () => import('./commands/unlock.ts'),
  users: () => import('./commands/users.ts'),
  version: () => import('./commands/version.ts'),
} as const satisfies Readonly<Record<string, () => Promise<CommandModule>>>;

/** Names of all commands, sorted. */
export const commandNames: readonly string[] = Object.keys(loaders);

function isCommandName(name: string): name is keyof typeof loaders {
  return Object.hasOwn(loaders, name);
}

/** Loads one command. @throws USAGE if there is none of this name */
export async function loadCommand(name: string): Promise<CommandEntry> {
  if (!isCommandName(name)) {
    throw new HoldfastError('USAGE', { message: `unknown command ${JSON.stringify(name)}` });
  }
  return (await loaders[name]()).command;
}

/** Loads all commands, in order of their names. */
export function loadAllCommands(): Promise<CommandEntry[]> {
  return Promise.all(commandNames.map(loadCommand));
}
