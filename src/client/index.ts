/** A typed client of the server's HTTP API, for programs: `import { HoldfastClient } from 'holdfast/client'`. */
export { type CallInput, type ClientOptions, HoldfastClient, type ItemOf } from './client.ts';
export type * from './documents.ts';
export type { Operations } from './operations.ts';
export { ProblemError } from './problem-error.ts';
export type { ServerEvent } from './read-events.ts';
