import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { describeError, endsWork } from '../../base/errors.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { DecodedIndex } from '../../repository/index-decoded.ts';
import { decodeIndexInto } from '../../repository/index-file.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import type { Findings } from './findings.ts';

/** Loads every index file that can be read, straight from the repository, and reports the others. */
export async function loadIndexForCheck(
  repository: Repository,
  findings: Findings,
  { signal, environment }: EngineContext,
): Promise<BlobIndex> {
  const index = BlobIndex.create({ random: environment.random });
  const scratch = new DecodedIndex();
  const repeated = new Set<string>();
  const onPackAgain = (id: Uint8Array, listing: 'repeated' | 'conflicting'): void => {
    const name = toHex(id);
    if (listing === 'repeated') repeated.add(name);
    else {
      findings.error(`pack ${name}`, 'index files differ about what it holds', 'INDEX_DAMAGED');
      findings.suggestRepairIndex = true;
    }
  };
  const { backend, config } = repository;
  const files = backend.list('index', { signal });
  await forEachConcurrent(files, backend.connectionCount, async ({ name }) => {
    try {
      const json = await repository.loadUnpacked('index', name, { signal });
      decodeIndexInto(json, index, { version: config.version, scratch, onPackAgain });
    } catch (error) {
      if (endsWork(error)) throw error;
      findings.error(`index ${name}`, describeError(error), 'INDEX_DAMAGED');
      findings.suggestRepairIndex = true;
    }
  });
  for (const name of repeated) findings.hint(`pack ${name} is contained in several indexes`);
  return index;
}
