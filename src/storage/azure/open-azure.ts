import {
  AnonymousCredential,
  BlobServiceClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

import { openHttpClient } from '../http-open.ts';
import type { LocationOf, StoreOptions } from '../store.ts';
import { AzureBackend, type AzureBackendOptions } from './azure-backend.ts';
import { SdkRequests } from './sdk-requests.ts';
import { type AzureSettings, readSettings } from './settings.ts';

/** Opens a container, which need not exist. @throws USAGE, UNSUPPORTED */
export async function openAzure(
  location: LocationOf<'azure'>,
  options: StoreOptions,
): Promise<AzureBackend> {
  return await assembleAzure(location, readSettings(options.variables, options.extended), options);
}

/** As `openAzure`, with what its settings are read from read already. */
export async function assembleAzure(
  location: LocationOf<'azure'>,
  settings: AzureSettings,
  options: StoreOptions & Pick<AzureBackendOptions, 'putSizeBytesMax'>,
): Promise<AzureBackend> {
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
  const { environment, connectionCount, putSizeBytesMax } = options;
  return new AzureBackend({
    location,
    settings,
    http,
    container: service.getContainerClient(location.container),
    connectionCount,
    environment,
    ...(putSizeBytesMax !== undefined && { putSizeBytesMax }),
  });
}
