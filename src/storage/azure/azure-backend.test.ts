import { randomUUID } from 'node:crypto';

import { emulatorAccount, startAzurite } from '../../../test/tools/azurite.ts';
import { describeBackend } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { testEnvironment } from '../test-support.ts';

const azurite = startAzurite();

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
    dispose: async () => {},
  };
});
