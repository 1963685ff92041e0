import type { Route } from '../route.ts';
import { accountRoutes } from './accounts.ts';
import { estateRoutes } from './estate.ts';
import { runRoutes } from './runs.ts';
import { setUpRoutes } from './set-up.ts';
import { snapshotRoutes } from './snapshots.ts';
import { systemRoutes } from './system.ts';

const own: readonly Route[] = [
  ...setUpRoutes,
  ...accountRoutes,
  ...estateRoutes,
  ...runRoutes,
  ...snapshotRoutes,
];

/** Every route of the server. */
export const allRoutes: readonly Route[] = [...own, ...systemRoutes(own)];
