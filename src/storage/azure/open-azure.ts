import {
  AnonymousCredential,
  BlobServiceClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

import { openHttpClient } from '../http-open.ts';
import type { LocationOf, StoreOptions } from '../store.ts';
import { AzureBackend } from './azure-backend.ts';
import { SdkRequests } from './sdk-requests.ts';
import { readSettings } from './settings.ts';

/** Opens a container, which need not exist. @throws USAGE, UNSUPPORTED */
export async function openAzure(
  location: LocationOf<'azure'>,
  options: StoreOptions,
): Promise<AzureBackend> {
  const settings = readSettings(options.variables, options.extended);
  const { accountName, credentials, serviceUrl } = settings;
  const http = await openHttpClient(`${new URL(serviceUrl).origin}/`, {}, options);
  const credential =
    credentials.kind === 'key'
      ? new StorageSharedKeyCredential(accountName, credentials.accountKey)
      : new AnonymousCredential();
  const pipeline = newPipeline(credential, {
    httpClient: new SdkRequests(http),
    // Ours are around it, and know of more.
    retryOptions: { maxTries: 1 },
  });
  const query = credentials.kind === 'signature' ? `?${credentials.signature}` : '';
  const service = new BlobServiceClient(`${serviceUrl}${query}`, pipeline);
  return new AzureBackend({
    location,
    settings,
    http,
    container: service.getContainerClient(location.container),
    connectionCount: options.connectionCount,
    environment: options.environment,
  });
}
