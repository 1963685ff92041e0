import type { SnapshotFacts } from '../../../agent/run-messages.ts';
import { pageOf } from '../../../contracts/paging.ts';
import {
  restoreRequestSchema,
  snapshotQuery,
  type SnapshotView,
  snapshotView,
} from '../../../contracts/snapshot-requests.ts';
import { runView } from '../../../contracts/views.ts';
import { pageAnswer, pageFrom, timeText } from '../paging.ts';
import { jsonRoute, type Route } from '../route.ts';
import { known } from './accounts.ts';
import { namePath } from './estate.ts';
import { viewRun } from './runs.ts';

/** Snapshots of repositories, and restores of them. */
export const snapshotRoutes: readonly Route[] = [
  jsonRoute({
    method: 'GET',
    path: '/api/v1/repositories/{name}/snapshots',
    access: 'read',
    summary: 'List snapshots of a repository as they are stored now, the newest first',
    parameters: namePath,
    query: snapshotQuery,
    answer: pageOf(snapshotView),
    handle: async ({ path: { name }, query, services }) => {
      const { estate, repositories } = services;
      const page = pageFrom(query);
      const entry = await estate.entryOf(name);
      const asked = { name, entry, source: query.source, ...page };
      const secrets = await estate.variablesFor([name]);
      const { snapshots } = await repositories.snapshots(asked, secrets);
      return pageAnswer(snapshots, page, { keyOf: ({ key }) => key, view: viewSnapshot });
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/repositories/{name}/restores',
    access: 'manage',
    summary: 'Restore a snapshot, or a folder of it, to a new folder of the machine of the server',
    parameters: namePath,
    body: restoreRequestSchema,
    answer: runView,
    status: 201,
    handle: async ({ path: { name }, body, services, identity, change }) => {
      const { estate, runs, control } = services;
      const { actor } = known(identity);
      const { snapshot, target } = body;
      const details = { snapshot, target };
      const run = await change({ action: 'restore', object: name, details }, async (db) => {
        await estate.getRepository(name, db);
        return runs.addRestore(db, { repository: name, request: body, startedBy: actor });
      });
      control.poke();
      return viewRun(run);
    },
  }),
];

function viewSnapshot(facts: SnapshotFacts): SnapshotView {
  const { id, timeMs, hostname, paths, tags, isComplete, fileCount, sizeBytes } = facts;
  return {
    id,
    time: timeText(timeMs),
    host: hostname,
    paths,
    tags,
    complete: isComplete,
    files: fileCount,
    bytes: sizeBytes,
  };
}
