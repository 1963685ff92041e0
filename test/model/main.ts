import { explore } from './explore.ts';
import { longMeetings, shortMeetings } from './meetings.ts';
import { protocol } from './protocol.ts';

const usage = `node test/model/main.ts [NAME...]

Visits every state of the named meetings, or of all, the short ones and the long ones. The last line is JSON with the totals:
a run is a meeting.`;

function main(names: readonly string[]): number {
  if (names.includes('--help')) {
    console.log(usage);
    return 0;
  }
  const all = [...shortMeetings, ...longMeetings];
  const chosen = all.filter(({ name }) => names.length === 0 || names.includes(name));
  const totals = { runs: 0, failures: 0, states: 0, seconds: 0 };
  for (const { name, ...meeting } of chosen) {
    const startMs = performance.now();
    const found = explore(protocol(meeting), 100_000_000);
    const seconds = Math.round((performance.now() - startMs) / 100) / 10;
    console.log(`${name}: ${found.stateCount} states, ${found.stepCount} steps, ${seconds} s`);
    totals.runs++;
    totals.states += found.stateCount;
    totals.seconds += seconds;
    if (found.fault === undefined) continue;
    totals.failures++;
    console.error([`${name}: ${found.fault}`, ...(found.trace ?? [])].join('\n  '));
  }
  console.log(JSON.stringify(totals));
  return totals.failures > 0 || totals.runs === 0 ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
