import type { MessagePort } from 'node:worker_threads';

/** Given to the thread that reads directories ahead. */
export interface ScanWorkerData {
  readonly port: MessagePort;
}

/** Directories to be read, in this order; each request has one answer. Links are refused. */
export interface ScanAheadRequest {
  /** Paths one after the other, and where each ends. */
  readonly paths: Uint8Array<ArrayBuffer>;
  readonly ends: readonly number[];
  /** In shared memory: who reads each of them. */
  readonly claims: Int32Array;
}

/** Who reads a directory: whoever is the first to say so. */
export const claim = { free: 0, thread: 1, caller: 2 } as const;
