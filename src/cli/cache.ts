import { cacheDirectory } from '../platform/machine.ts';
import type { CacheSettings } from '../session/session-cache.ts';
import type { Invocation } from './command.ts';
import { usage } from './parse.ts';
import { assertDecoded } from './raw-arguments.ts';

type CacheInvocation = Pick<Invocation, 'globals' | 'variables' | 'environment' | 'output'>;

/** The folder that holds the caches of all repositories. @throws USAGE if the system has none for caches */
export function cacheBase({ globals, variables }: CacheInvocation): string {
  const base = globals.cacheDirectory ?? cacheDirectory(variables.all);
  if (base !== undefined) {
    // The folder lies below what one of these names, or is what a flag or another variable names.
    const homes = [variables.plain('HOME'), variables.plain('XDG_CACHE_HOME')];
    const home = homes.find((one) => one !== undefined && base.startsWith(one));
    assertDecoded(home ?? base, 'folder for caches');
    assertDecoded(base, 'folder for caches');
    return base;
  }
  throw usage('there is no folder for caches', 'Name one with --cache-dir, or use --no-cache.');
}

/** What the flags say about the local cache; undefined: there is none. */
export function cacheSettings(invocation: CacheInvocation): CacheSettings | undefined {
  const { globals, output } = invocation;
  if (globals.noCache) return undefined;
  return {
    base: () => cacheBase(invocation),
    cleanUp: globals.cleanupCache,
    tell: (text) => output.verbose(text),
    warn: (text) => {
      if (output.verbosity >= 1 && !output.isJson) output.errorLine(text);
    },
  };
}
