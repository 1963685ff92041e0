import type { FuzzTarget } from './target.ts';
import {
  configTarget,
  keyFileTarget,
  lockTarget,
  masterKeyTarget,
  snapshotTarget,
} from './targets/documents.ts';
import { flagsTarget } from './targets/flags.ts';
import { indexFileTarget } from './targets/index-file.ts';
import { jsonReaderTarget } from './targets/json-reader.ts';
import { indexManifestTarget, indexMarksTarget, parityFileTarget } from './targets/own-files.ts';
import { blobTarget, packHeaderTarget, packTarget } from './targets/packs.ts';
import { filesFromTarget, patternsTarget } from './targets/patterns.ts';
import { locationTarget, textsTarget, timeTarget } from './targets/texts.ts';
import { repositoryReadTarget, repositoryUseTarget } from './targets/repository.ts';
import { multistatusTarget, restListTarget } from './targets/server-lists.ts';
import { treeTarget } from './targets/tree.ts';
import { unpackedFileTarget } from './targets/unpacked-file.ts';

/** All targets, one a parser or trust boundary. */
export const fuzzTargets: readonly FuzzTarget[] = [
  packHeaderTarget,
  packTarget,
  blobTarget,
  unpackedFileTarget,
  indexFileTarget,
  indexMarksTarget,
  indexManifestTarget,
  parityFileTarget,
  snapshotTarget,
  treeTarget,
  configTarget,
  keyFileTarget,
  masterKeyTarget,
  lockTarget,
  jsonReaderTarget,
  timeTarget,
  locationTarget,
  restListTarget,
  multistatusTarget,
  textsTarget,
  patternsTarget,
  filesFromTarget,
  flagsTarget,
  repositoryReadTarget,
  repositoryUseTarget,
];
