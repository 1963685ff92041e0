import { type Finding, finding } from './rule.ts';

/** The part of package-lock.json that is looked at: packages by the folder they go to. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
}

/**
 * That of koffi only looks whether the binary for the platform is there. Those of ssh2 are forbidden in package.json, and make an
 * optional addon where an old npm runs them. All work as well without.
 */
const harmlessScripts = new Set([
  'node_modules/koffi',
  'node_modules/ssh2',
  'node_modules/cpu-features',
]);

/** Packages that are needed and have no entry, with which `npm ci` refuses the lock, and packages that run at install. */
export function lockProblems({ packages }: LockFile): Finding[] {
  return Object.entries(packages).flatMap(([path, entry]) => {
    const needed = {
      ...entry.dependencies,
      ...entry.optionalDependencies,
      ...entry.devDependencies,
    };
    const missing = Object.keys(needed).filter((name) => !isLocked(packages, path, name));
    const problems = missing.map(
      (name) => `${path} needs ${name}, which has no entry: npm run lock`,
    );
    if (entry.hasInstallScript === true && !harmlessScripts.has(path))
      problems.push(`${path} runs a script when installed`);
    return problems.map((what) => finding('package-lock.json', 1, what));
  });
}

/** True if Node would find `name` from the folder `path`: in its own node_modules, or in one further up. */
function isLocked(packages: LockFile['packages'], path: string, name: string): boolean {
  const folders = path.split('/node_modules/');
  return [...folders.keys(), folders.length].some((depth) => {
    const above = folders.slice(0, depth).join('/node_modules/');
    const prefix = above === '' ? '' : `${above}/`;
    return packages[`${prefix}node_modules/${name}`] !== undefined;
  });
}
