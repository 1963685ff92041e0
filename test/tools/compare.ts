import { mustRun, runProgram } from './run-program.ts';

/**
 * Lines that say how `copy` differs from `original`, as rsync sees it: content, types, modes, owners, times to the
 * nanosecond, hard links, devices, extended attributes and ACLs. Empty: they are equal.
 */
export async function rsyncDifferences(original: string, copy: string): Promise<string[]> {
  const what = ['-aHAXn', '--numeric-ids', '--checksum', '--itemize-changes', '--delete'];
  const how = ['--modify-window=-1', '--protect-args', `${original}/`, `${copy}/`];
  const run = await runProgram('rsync', [...what, ...how]);
  if (run.exitCode !== 0) throw new Error(`rsync: ${run.errors}`);
  return run.output.split('\n').filter((line) => line !== '');
}

/**
 * A tree as bsdtar describes it, one sorted line an entry: type, mode, owner, size, time, link count and target, hash.
 * @see mtree(5)
 */
export async function mtreeOf(root: string): Promise<string[]> {
  const keywords = '!all,type,mode,uid,gid,size,time,nlink,link,sha256,device';
  const args = ['-cf', '-', '--format=mtree', `--options=mtree:${keywords}`, '-C', root, '.'];
  const output = await mustRun('bsdtar', args);
  // Of directories and special files the number of links and the size are the file system's own business.
  return output
    .split('\n')
    .map((line) => (/type=file/.test(line) ? line : line.replace(/ (nlink|size)=\d+/g, '')))
    .filter((line) => line !== '' && !line.startsWith('#'))
    .sort();
}

/** Differences between two trees by two tools that are not ours. Empty: they are equal. */
export async function treeDifferences(original: string, copy: string): Promise<string[]> {
  const [changes, before, after] = await Promise.all([
    rsyncDifferences(original, copy),
    mtreeOf(original),
    mtreeOf(copy),
  ]);
  const [had, has] = [new Set(before), new Set(after)];
  return [
    ...changes,
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}
