import { basename, dirname } from 'node:path';
import { systemEnvironment as environment } from '../../src/base/environment.ts';
import { backUp, checkAll, restoreLatest } from './engine.ts';

/**
 * Does one thing in a process of its own, whose memory can be measured and whose user can be another:
 * `measure-child.ts backup|force|restore|check REPOSITORY [PATH]`. Prints one line of JSON.
 */
const [, , action = '', repository = '', place = ''] = process.argv;
const started = performance.now();

async function act(): Promise<readonly string[]> {
  if (action === 'backup' || action === 'force') {
    const source = { workingDirectory: dirname(place) };
    const options = { force: action === 'force' };
    const { complaints } = await backUp(repository, [basename(place)], { source, options });
    return complaints;
  }
  if (action === 'restore')
    return (await restoreLatest(repository, place, { environment })).complaints;
  return (await checkAll(repository, undefined, environment)).errors;
}

const complaints = await act();
const peakMiB = Math.ceil(process.resourceUsage().maxRSS / 1024);
const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ complaints, peakMiB, seconds }));
