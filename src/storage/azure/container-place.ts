import type { ContainerClient } from '@azure/storage-blob';

import type { FileHandle } from '../backend.ts';
import type { FailedCall } from './translate.ts';

/** What every call of the SDK takes. */
export interface SdkOptions {
  readonly abortSignal?: AbortSignal;
}

/** What a call is about. */
export type AzureCall = Pick<FailedCall, 'file' | 'isWrite' | 'signal'>;

/** Where a repository is in a container, and how calls are made there. */
export interface ContainerPlace {
  readonly container: ContainerClient;
  /** Of all names, with a slash at its end; or empty. */
  readonly prefix: string;
  readonly pathOf: (handle: FileHandle) => string;
  /** Makes one call, and translates what goes wrong. */
  readonly run: <T>(call: AzureCall, work: (options: SdkOptions) => Promise<T>) => Promise<T>;
}
