import type { Store } from '../store.ts';

/** A container of Azure Blob Storage. The vendor's SDK is loaded when one is opened. */
export const azureStore: Store<'azure'> = {
  connectionCount: 5,
  options: [
    {
      name: 'azure.access-tier',
      description: "access tier of packs of data: 'Hot', 'Cool' or 'Cold'",
    },
  ],
  open: async (location, options) => {
    const { openAzure } = await import('./open-azure.ts');
    return await openAzure(location, options);
  },
};
