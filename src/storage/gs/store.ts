import type { Store } from '../store.ts';

/** A bucket of Google Cloud Storage. */
export const gsStore: Store<'gs'> = {
  connectionCount: 5,
  options: [
    {
      name: 'gs.region',
      description: 'where the bucket of a new repository is made (default us)',
    },
  ],
  open: async (location, options) => {
    const { openGoogle } = await import('./open-google.ts');
    return await openGoogle(location, options);
  },
};
