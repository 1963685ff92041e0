import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { emulatorAccount, startAzurite } from '../tools/azurite.ts';
import { rsyncDifferences } from '../tools/compare.ts';
import { startConnectProxy } from '../tools/connect-proxy.ts';
import { password, singleThreaded } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { makeTree } from '../tools/tree-spec.ts';
import { modestHazardTree } from '../tools/hazard-tree.ts';

describeWith(['restic', 'openssl', 'rsync'], 'a repository in Azure Blob Storage', () => {
  const scratch = scratchFolder('azure');
  const key = join(scratch.path, 'key.pem');
  const certificate = join(scratch.path, 'certificate.pem');
  const source = join(scratch.path, 'source');
  const host = `${emulatorAccount['AZURE_ACCOUNT_NAME']}.blob.core.windows.net`;

  beforeAll(async () => {
    const what = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const where = ['-nodes', '-keyout', key, '-out', certificate, '-days', '2'];
    const whom = ['-subj', '/CN=azurite', '-addext', `subjectAltName=DNS:${host}`];
    await mustRun('openssl', [...what, ...where, ...whom]);
    makeTree(source, modestHazardTree());
  });
  const azurite = startAzurite(() => ['--cert', certificate, '--key', key]);
  const proxy = startConnectProxy(() => azurite.address);

  /** Both programs take the same. */
  const variables = (): Record<string, string> => ({
    ...emulatorAccount,
    HTTPS_PROXY: proxy.url,
    RESTIC_CACERT: certificate,
    RESTIC_REPOSITORY: 'azure:backups:/of/this',
    RESTIC_PASSWORD: password,
    HOME: scratch.path,
  });
  const restic = (...args: string[]): Promise<string> =>
    mustRun('restic', ['--no-cache', ...args], { variables: variables() });
  const holdfast = async (...args: string[]): Promise<string> => {
    const settings = { variables: variables(), environment: singleThreaded };
    const { exitCode, output, errors } = await runCommand(['--no-cache', ...args], settings);
    expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
    return output;
  };

  test('made and filled by holdfast, is checked, restored and added to by restic', async () => {
    await holdfast('init');
    await holdfast('backup', source);
    await restic('check', '--read-data');
    const byRestic = scratch.fresh('by-restic');
    await restic('restore', `latest:${source}`, '--target', byRestic);
    expect(await rsyncDifferences(source, byRestic)).toEqual([]);
    writeFileSync(join(source, 'more'), 'of it');
    await restic('backup', source);
    expect(new Set(proxy.targets)).toEqual(new Set([`${host}:443`]));
  });

  test('of restic is checked, restored, forgotten and pruned by holdfast', async () => {
    await holdfast('check', '--read-data');
    const byHoldfast = scratch.fresh('by-holdfast');
    await holdfast('restore', `latest:${source}`, '--target', byHoldfast);
    expect(await rsyncDifferences(source, byHoldfast)).toEqual([]);
    await holdfast('forget', '--keep-last', '1', '--prune');
    await restic('check', '--read-data');
    expect(JSON.parse(await restic('snapshots', '--json'))).toHaveLength(1);
  });
});
