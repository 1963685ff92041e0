import { parseArgs } from 'node:util';

import { type Case, nameOf } from './case.ts';
import { allCombinations, type Combination, pairwise, start, type Tally } from './matrix.ts';
import { storeKinds } from './stores.ts';

// Runs the whole matrix, again and again with other seeds, until the time is over; the last line tells the totals.

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    /** Only cases whose names begin so: `B1 backup sftp`. With `--seed` of a failure, its case comes first. */
    only: { type: 'string', default: '' },
    pairwise: { type: 'boolean', default: false },
    /** Of so many snapshots that are reported one is shown to restic. */
    restic: { type: 'string', default: '50' },
    /** S3 alone, against a real server of it instead of the model. */
    radosgw: { type: 'boolean', default: false },
  },
});

const seed = Number(values.seed);
const isWanted = (one: Combination): boolean =>
  nameOf({ ...one, seed: 0 }).startsWith(values.only) && (!values.radosgw || one.store === 's3');
const wanted = (values.pairwise ? pairwise(seed) : allCombinations()).filter(isWanted);
const kinds = storeKinds.filter((kind) => wanted.some(({ store }) => store === kind));
const s3 = values.radosgw ? 'radosgw' : 'model';
const started = await start(kinds, { resticEvery: Number(values.restic), s3 });
const endMs = performance.now() + Number(values.seconds) * 1000;

/** A round of all combinations has the seeds that follow the one before. */
function* cases(): Generator<Case> {
  for (let round = 0; ; round++) {
    for (const combination of wanted) yield { ...combination, seed: seed + round };
    if (values.pairwise) return;
  }
}

let tally: Tally | undefined;
try {
  tally = await started.run(cases(), {
    isOver: () => performance.now() > endMs,
    tell: (line) => console.error(line),
  });
} finally {
  await started.stop();
}
for (const row of [...tally.rows.keys()].toSorted()) console.log(`${row}: ${tally.rows.get(row)}`);
const { runs, strikes, failures } = tally;
console.log(JSON.stringify({ runs, failures, struck: strikes }));
process.exitCode = failures > 0 ? 1 : 0;
