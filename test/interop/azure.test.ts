import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import {
  BlobServiceClient,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { beforeAll, expect, test } from 'vitest';

import { emulatorAccount, startAzurite } from '../tools/azurite.ts';
import { rsyncDifferences } from '../tools/compare.ts';
import { startConnectProxy } from '../tools/connect-proxy.ts';
import { cheapKeyed, hurried, password } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic } from '../tools/restic.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

// Official builds of restic may come without Azure. So restic judges a copy of the container in a folder, made by the vendor's own
// client, and what it adds there goes back the same way.
describeWith(['restic', 'openssl', 'rsync'], 'a repository in Azure Blob Storage', () => {
  const scratch = scratchFolder('azure');
  const key = join(scratch.path, 'key.pem');
  const certificate = join(scratch.path, 'certificate.pem');
  const source = join(scratch.path, 'source');

  /** Several packs of data, and one of trees. */
  const makeSource = (): void => {
    mkdirSync(join(source, 'folder'), { recursive: true });
    for (const [i, sizeBytes] of [0, 1, 70_000, 3_000_000].entries()) {
      const content = createHash('shake256', { outputLength: sizeBytes }).update(`${i}`).digest();
      writeFileSync(join(source, 'folder', `${i}`), content);
    }
  };
  const copy = join(scratch.path, 'copy');
  const { AZURE_ACCOUNT_NAME: account = '', AZURE_ACCOUNT_KEY: accountKey = '' } = emulatorAccount;
  const host = `${account}.blob.core.windows.net`;
  const prefix = 'of/this/';

  beforeAll(async () => {
    const what = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const where = ['-nodes', '-keyout', key, '-out', certificate, '-days', '2'];
    const whom = ['-subj', '/CN=azurite', '-addext'];
    await mustRun('openssl', [...what, ...where, ...whom, `subjectAltName=DNS:${host}`]);
    makeSource();
  });
  const azurite = startAzurite();
  const proxy = startConnectProxy(
    () => azurite.address,
    () => ({ cert: readFileSync(certificate, 'latin1'), key: readFileSync(key, 'latin1') }),
  );

  const holdfast = async (...args: string[]): Promise<void> => {
    const variables = {
      ...emulatorAccount,
      HTTPS_PROXY: proxy.url,
      RESTIC_CACERT: certificate,
      RESTIC_REPOSITORY: 'azure:backups:/of/this',
      RESTIC_PASSWORD: password,
      HOME: scratch.path,
    };
    const environment = args[0] === 'init' ? cheapKeyed() : hurried;
    const settings = { variables, environment };
    const { exitCode, errors } = await runCommand(['--no-cache', ...args], settings);
    expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  };

  const container = (): ContainerClient => {
    const credential = new StorageSharedKeyCredential(account, accountKey);
    const service = new BlobServiceClient(`http://${azurite.address}/${account}`, credential);
    return service.getContainerClient('backups');
  };

  const download = async (): Promise<void> => {
    scratch.remove(copy);
    const from = container();
    for await (const { name } of from.listBlobsFlat({ prefix })) {
      const path = join(copy, name.slice(prefix.length));
      mkdirSync(dirname(path), { recursive: true });
      await from.getBlobClient(name).downloadToFile(path);
    }
    for (const folder of ['keys', 'locks', 'index', 'snapshots', 'data']) {
      mkdirSync(join(copy, folder), { recursive: true });
    }
  };

  const upload = async (): Promise<void> => {
    const to = container();
    for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
      const path = join(copy, name);
      const blob = to.getBlockBlobClient(prefix + name);
      if (statSync(path).isFile() && !(await blob.exists())) await blob.uploadFile(path);
    }
  };

  test('is made by holdfast as restic wants it', async () => {
    await holdfast('init');
    await holdfast('backup', source);
    expect(new Set(proxy.targets)).toEqual(new Set([`${host}:443`]));
    await download();
    await mustRestic(copy, ['check', '--read-data']);
    const restored = scratch.fresh('by-restic');
    await mustRestic(copy, ['restore', 'latest', '--target', restored]);
    expect(await rsyncDifferences(source, join(restored, source))).toEqual([]);
  });

  test('goes on after restic has added to it', async () => {
    writeFileSync(join(source, 'more'), 'of it');
    await mustRestic(copy, ['backup', '-q', source]);
    await upload();
    await holdfast('check', '--read-data');
    const restored = scratch.fresh('by-holdfast');
    await holdfast('restore', 'latest', '--target', restored);
    expect(await rsyncDifferences(source, join(restored, source))).toEqual([]);
    await holdfast('forget', '--keep-last', '1', '--prune');
    await download();
    await mustRestic(copy, ['check']);
    expect(JSON.parse(await mustRestic(copy, ['snapshots', '--json']))).toHaveLength(1);
  });
});
