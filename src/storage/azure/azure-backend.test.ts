import { randomUUID } from 'node:crypto';

import {
  BlobServiceClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { expect, test } from 'vitest';

import { emulatorAccount, startAzurite } from '../../../test/tools/azurite.ts';
import { concatBytes } from '../../base/bytes.ts';
import { codeOf, describeBackend, handleFor, listAll } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { testEnvironment } from '../test-support.ts';
import type { AzureBackend } from './azure-backend.ts';
import { assembleAzure } from './open-azure.ts';
import { readSettings } from './settings.ts';

const azurite = startAzurite();
const { AZURE_ACCOUNT_NAME: account = '', AZURE_ACCOUNT_KEY: accountKey = '' } = emulatorAccount;

/** The vendor's client as it comes. */
function service(): BlobServiceClient {
  const credential = new StorageSharedKeyCredential(account, accountKey);
  return new BlobServiceClient(`http://${azurite.address}/${account}`, credential);
}

describeBackend('azure, on azurite', async () => {
  const container = randomUUID();
  const variables = { ...emulatorAccount, AZURE_ENDPOINT_SUFFIX: azurite.address };
  const open = (): ReturnType<typeof openBackend> =>
    openBackend(`azure:${container}:/some/folder`, { environment: testEnvironment(), variables });
  const backend = await open();
  await backend.create();
  return {
    backend,
    other: await open(),
    // One takes azurite 2 ms of processor time.
    fileCount: 40,
    plant: async (path, content) => {
      await service()
        .getContainerClient(container)
        .getBlockBlobClient(`some/folder/${path}`)
        .uploadData(content);
    },
    dispose: async () => {},
  };
});

async function openSmall(container: string): Promise<AzureBackend> {
  const settings = readSettings(
    { ...emulatorAccount, AZURE_ENDPOINT_SUFFIX: azurite.address },
    new Map([['access-tier', 'Cool']]),
  );
  const environment = testEnvironment();
  const location = { scheme: 'azure', container, prefix: '' } as const;
  const options = {
    environment,
    connectionCount: 2,
    extended: new Map(),
    transport: {},
    variables: {},
  };
  return await assembleAzure(location, settings, { ...options, putSizeBytesMax: 1 << 20 });
}

test('stores a large file in blocks, whole or not at all', async () => {
  const backend = await openSmall(randomUUID());
  const large = handleFor('pack', 'large');
  expect(await codeOf(backend.put(large, [new Uint8Array(10)]))).toBe('REPOSITORY_NOT_FOUND');
  expect(await codeOf(backend.get(large))).toBe('REPOSITORY_NOT_FOUND');
  expect(await codeOf(backend.stat(large))).toBe('FILE_NOT_FOUND');
  await backend.create();
  const parts = [300_001, 1, 700_000, 0, 48_577].map((size, i) => new Uint8Array(size).fill(i + 1));
  await backend.put(large, parts);
  expect(Buffer.compare(await backend.get(large), concatBytes(parts))).toBe(0);
  expect(await codeOf(backend.put(large, parts.toReversed()))).toBe('FILE_EXISTS');
  expect(Buffer.compare(await backend.get(large), concatBytes(parts))).toBe(0);
  await backend.put(large, parts.toReversed(), { replace: true });
  expect(Buffer.compare(await backend.get(large), concatBytes(parts.toReversed()))).toBe(0);
  expect(await listAll(backend, 'pack')).toEqual([{ name: large.name, sizeBytes: 1_048_579 }]);
  await backend.close();
});

test('puts packs of data alone into the tier, and tells of an archived one', async () => {
  const container = randomUUID();
  const backend = await openSmall(container);
  await backend.create();
  const [data, trees] = [handleFor('pack', 'data'), handleFor('pack', 'trees')];
  await backend.put(data, [new Uint8Array(10)]);
  await backend.put({ ...trees, holdsTrees: true }, [new Uint8Array(10)]);
  const blobs = [data, trees].map(({ name }) =>
    service()
      .getContainerClient(container)
      .getBlobClient(`data/${name.slice(0, 2)}/${name}`),
  );
  const tiers = await Promise.all(
    blobs.map(async (blob) => (await blob.getProperties()).accessTier),
  );
  expect(tiers).toEqual(['Cool', 'Hot']);
  await blobs[0]?.setAccessTier('Archive');
  expect(await codeOf(backend.get(data))).toBe('FILE_ARCHIVED');
  await backend.close();
});

test('is let in by a shared access signature, and not by a wrong key', async () => {
  const container = service().getContainerClient(randomUUID());
  await container.create();
  const url = await container.generateSasUrl({
    expiresOn: new Date(4_000_000_000_000),
    permissions: ContainerSASPermissions.parse('rwdl'),
  });
  const open = (variables: Record<string, string>): ReturnType<typeof openBackend> =>
    openBackend(`azure:${container.containerName}:/`, {
      environment: testEnvironment(),
      variables: {
        AZURE_ACCOUNT_NAME: account,
        AZURE_ENDPOINT_SUFFIX: azurite.address,
        ...variables,
      },
    });
  const backend = await open({ AZURE_ACCOUNT_SAS: new URL(url).search });
  await backend.create();
  const lock = handleFor('lock', 'x');
  await backend.put(lock, [new Uint8Array(1)]);
  expect(await listAll(backend, 'lock')).toHaveLength(1);
  await backend.remove(lock);
  await backend.close();
  const other = await open({ AZURE_ACCOUNT_KEY: accountKey.replace(/^./, 'X') });
  // The service itself says AuthenticationFailed, azurite AuthorizationFailure.
  expect(await codeOf(other.get(lock))).toBe('PERMISSION_DENIED');
  await other.close();
});
