import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import {
  type RadosgwOptions,
  radosgwStartMsMax,
  radosgws,
  type S3Server,
  startRadosgw,
} from '../tools/radosgw.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { askAll, type Said } from './asker.ts';
import { startModelS3 } from './model-s3.ts';
import { allQuestions } from './questions.ts';

const scratch = scratchFolder('model-s3');

async function askModel({
  version,
  isStrict = false,
}: RadosgwOptions): Promise<Record<string, Said>> {
  const dialect = version === 20 ? 'radosgw20' : 'radosgw16';
  const model = await startModelS3({ dialect, isStrict });
  try {
    return await askAll(model, allQuestions);
  } finally {
    await model.stop();
  }
}

describeWith(['radosgw'], 'the model', () => {
  describe.each(radosgws)('and radosgw %s', (_, options) => {
    let server: S3Server;
    beforeAll(async () => {
      server = await startRadosgw(scratch.fresh('server'), options);
    }, radosgwStartMsMax);
    afterAll(() => server.stop());

    test('say the same', async () => {
      const theirs = await askAll(server, allQuestions);
      expect(await askModel(options)).toEqual(theirs);
      expect(Object.keys(theirs).length).toBeGreaterThan(90);
    });
  });
});
