import path from 'node:path';
import type { FlagValues } from './command.ts';
import type { UserFlags } from './commands/serve-user.ts';
import { usage } from './parse.ts';

/** The folder of repositories, whole. @throws USAGE if none was named */
export function servedPath(flags: Pick<FlagValues<UserFlags>, 'path'>): string {
  if (flags.path === undefined || flags.path === '') {
    throw usage('no folder to serve was named', 'Name the folder of repositories with --path.');
  }
  return path.resolve(flags.path);
}
