import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import { type RadosgwOptions, type S3Server, startRadosgw } from '../tools/radosgw.ts';
import { scratchFolder } from '../tools/scratch.ts';
import type { DialectName } from './dialects.ts';
import { startModelS3 } from './model-s3.ts';
import { allQuestions, askAll, type Said } from './questions.ts';

const scratch = scratchFolder('model-s3');

/** `all`: the newer radosgw as well, which is fetched, and takes longer to start. */
const isWhole = process.env['HOLDFAST_RADOSGW'] === 'all';

const real: readonly (readonly [string, DialectName, RadosgwOptions])[] = [
  ['16.2', 'radosgw16', {}],
  ...(isWhole
    ? ([
        ['20.2', 'radosgw20', { version: 20 }],
        ['20.2, strict', 'radosgw20', { version: 20, isStrict: true }],
      ] as const)
    : []),
];

async function askModel(dialect: DialectName, isStrict = false): Promise<Record<string, Said>> {
  const model = await startModelS3({ dialect, isStrict });
  try {
    return await askAll(model, allQuestions);
  } finally {
    await model.stop();
  }
}

describeWith(['radosgw'], 'the model', () => {
  describe.each(real)('and radosgw %s', (version, dialect, options) => {
    let server: S3Server;
    beforeAll(async () => {
      server = await startRadosgw(
        scratch.fresh(`server ${version}`.replaceAll(/[^a-z0-9]/g, '-')),
        options,
      );
    }, 600_000);
    afterAll(() => server.stop());

    test('say the same', async () => {
      const theirs = await askAll(server, allQuestions);
      expect(await askModel(dialect, options.isStrict)).toEqual(theirs);
      expect(Object.keys(theirs).length).toBeGreaterThan(90);
    });
  });
});
