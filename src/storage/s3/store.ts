import type { Store } from '../store.ts';

/** A bucket of any server that speaks S3. What it needs of others is loaded when one is opened. */
export const s3Store: Store<'s3'> = {
  connectionCount: 5,
  options: [
    {
      name: 's3.bucket-lookup',
      description: "where requests name the bucket: 'auto', 'dns' or 'path'",
    },
    {
      name: 's3.enable-restore',
      description: 'bring archived packs back when they are needed, and wait (default false)',
    },
    { name: 's3.list-objects-v1', description: 'list with the first version of ListObjects' },
    { name: 's3.region', description: 'region of the bucket' },
    { name: 's3.restore-days', description: 'days for which packs are brought back (default 7)' },
    { name: 's3.restore-tier', description: "'Standard' (default), 'Bulk' or 'Expedited'" },
    { name: 's3.restore-timeout', description: 'longest wait for packs, like 36h (default 24h)' },
    { name: 's3.storage-class', description: 'storage class of packs of data' },
    { name: 's3.unsafe-anonymous-auth', description: 'sign no request (default false)' },
  ],
  open: async (location, options) => {
    const { openS3 } = await import('./open-s3.ts');
    return await openS3(location, options);
  },
};
