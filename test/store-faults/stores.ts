import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { systemClock } from '../../src/base/clock.ts';
import { systemEnvironment } from '../../src/base/environment.ts';
import { startTestServer } from '../../src/serve/serve-test-support.ts';
import type { Backend, FileHandle } from '../../src/storage/backend.ts';
import { repositoryLayout, placeOf } from '../../src/storage/layout.ts';
import { LocalBackend } from '../../src/storage/local/local-backend.ts';
import { parseLocation } from '../../src/storage/location.ts';
import type { MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import { restStore } from '../../src/storage/rest/store.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import { sftpStore } from '../../src/storage/sftp/store.ts';
import type { StoreOptions } from '../../src/storage/store.ts';
import { ModelS3 } from '../model-s3/model-s3.ts';
import { HttpFaultProxy } from '../tools/http-fault-proxy.ts';
import { startRadosgw } from '../tools/radosgw.ts';
import { SshServer } from '../tools/ssh-server.ts';
import { TcpProxy } from '../tools/tcp-proxy.ts';
import { loadAll, openFolder, type Room, storeAll } from './bed.ts';

export type StoreKind = 'local' | 'sftp' | 'rest' | 's3';

export const storeKinds: readonly StoreKind[] = ['local', 'sftp', 'rest', 's3'];

/** How a store is reached: as it is, by a line that breaks, or by a proxy that spoils requests and answers. */
export type Way = 'straight' | 'tcp' | 'http';

export interface OpenHow {
  readonly way: Way;
  /** Default: long enough for a busy machine. */
  readonly stuckRequestMs?: number;
  /** By how much the clock of this client is wrong. */
  readonly skewMs?: number;
  /** The name of the host is of no host. */
  readonly isNowhere?: boolean;
}

/** A location as a command names it. */
export interface NamedLocation {
  readonly repository: string;
  readonly options: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

/** A place for one repository. */
export interface Place {
  readonly kind: StoreKind;
  /** Where its files lie on this machine, if they do, in the default layout. */
  readonly folder: string | undefined;
  /** Lies on a small file system of its own. */
  readonly disk: string | undefined;
  /** The store as it is, without retries. */
  open(how: OpenHow): Promise<Backend>;
  fill(files: MemoryFiles): Promise<void>;
  /** What is stored, by a way that nothing spoils. */
  load(): Promise<MemoryFiles>;
  /** A client of the same place that nothing spoils. */
  openSound(): Promise<Backend>;
  name(way: Way): NamedLocation;
  /** Puts other bytes in the place of a file, past the store. */
  plant(handle: FileHandle, content: Uint8Array): Promise<void>;
  /** Nobody needs it any more. */
  discard(): void;
}

/** A server for the stores of one kind, and the ways to it. */
export interface Served {
  readonly kind: StoreKind;
  readonly tcp: TcpProxy | undefined;
  readonly http: HttpFaultProxy | undefined;
  /** Of SFTP: shows another host key from now on, or its own again. */
  readonly changeHostKey?: (isOther: boolean) => Promise<void>;
  /** No error, location, or line of output may have it. */
  readonly secret: string;
  place(options?: { readonly onDisk?: boolean }): Place;
  stop(): Promise<void>;
}

/** The mount points that small file systems lie at. */
const disks: string[] = [];
const stuckRequestMsDefault = 20_000;

function mountDisk(room: Room): string {
  const disk = room.fresh('disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', disk]);
  disks.push(disk);
  return disk;
}

/** Ends what `place` with `onDisk` has mounted. */
export function unmountDisks(): void {
  for (const disk of disks.splice(0)) execFileSync('umount', ['-l', disk]);
}

function settings({ stuckRequestMs = stuckRequestMsDefault, skewMs = 0 }: OpenHow): StoreOptions {
  const clock = {
    ...systemClock,
    wallMs: () => systemClock.wallMs() + skewMs,
    wallNs: () => systemClock.wallNs() + BigInt(skewMs) * 1_000_000n,
  };
  const environment = { ...systemEnvironment, clock };
  const common = { environment, connectionCount: 4, extended: new Map<string, string>() };
  return { ...common, transport: { stuckRequestMs }, variables: {} };
}

function astray(location: string, { isNowhere = false }: OpenHow): string {
  return isNowhere ? location.replace('127.0.0.1', 'nowhere.invalid') : location;
}

function fileOf(handle: FileHandle): string {
  const { folders, name } = placeOf(repositoryLayout, handle);
  return [...folders, name].join('/');
}

/** What places in a folder of this machine have in common. */
function folderPlace(
  room: Room,
  folder: string,
  disk: string | undefined,
): Omit<Place, 'kind' | 'open' | 'name'> {
  return {
    folder,
    disk,
    ...soundPlace(() => openFolder(folder)),
    plant: async (handle, content) => {
      const file = path.join(folder, fileOf(handle));
      rmSync(file);
      writeFileSync(file, content);
    },
    discard: () => room.remove(folder),
  };
}

type FolderKind = Pick<Place, 'kind' | 'open' | 'name'>;

function placesIn(
  room: Room,
  root: string,
  kindOf: (folder: string, relative: string) => FolderKind,
): Served['place'] {
  let count = 0;
  let disk: string | undefined;
  return ({ onDisk = false } = {}) => {
    if (onDisk) disk ??= mountDisk({ ...room, fresh: () => path.join(root, 'disk') });
    const relative = `${onDisk ? 'disk/' : ''}repository-${count++}`;
    const folder = path.join(root, relative);
    return { ...folderPlace(room, folder, onDisk ? disk : undefined), ...kindOf(folder, relative) };
  };
}

function serveLocal(room: Room): Served {
  const root = room.fresh('local');
  mkdirSync(root);
  return {
    kind: 'local',
    tcp: undefined,
    http: undefined,
    secret: 'no secret',
    place: placesIn(room, root, (folder) => ({
      kind: 'local',
      open: (how) => LocalBackend.open(folder, settings(how)),
      name: () => ({ repository: folder, options: [], variables: {} }),
    })),
    stop: async () => {},
  };
}

async function serveSftp(room: Room): Promise<Served> {
  const root = room.fresh('sftp');
  mkdirSync(root);
  const server = await SshServer.start({ folder: room.fresh('sshd') });
  const tcp = await TcpProxy.start({ port: server.port });
  const key = readFileSync(server.knownHosts, 'latin1').split(' ').slice(1).join(' ');
  const known = [server.port, tcp.port].map((port) => `[127.0.0.1]:${port} ${key}`);
  writeFileSync(server.knownHosts, known.join(''));
  const other = path.join(server.folder, 'other-host');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
  const locate = (folder: string, way: Way): string =>
    server
      .location(folder)
      .replace(`:${server.port}/`, `:${way === 'tcp' ? tcp.port : server.port}/`);
  // A line that stalls is given up after a second, and a login after two.
  server.writeClientSettings(['ConnectTimeout 1']);
  const args = `-F ${server.clientSettings}`;
  return {
    kind: 'sftp',
    tcp,
    http: undefined,
    secret: 'PRIVATE KEY',
    changeHostKey: async (isOther) => {
      await server.stop();
      server.useHostKey(isOther ? other : server.hostKey);
      await server.begin();
    },
    place: placesIn(room, root, (folder) => ({
      kind: 'sftp',
      open: (how) => {
        const location = parseLocation(astray(locate(folder, how.way), how));
        if (location.scheme !== 'sftp') throw new Error('not SFTP');
        return sftpStore.open(location, { ...settings(how), extended: new Map([['args', args]]) });
      },
      name: (way) => ({
        repository: locate(folder, way),
        options: ['-o', `sftp.args=${args}`],
        variables: {},
      }),
    })),
    stop: async () => {
      await tcp.stop();
      await server.stop();
    },
  };
}

async function serveRest(room: Room): Promise<Served> {
  const root = room.fresh('rest');
  const server = await startTestServer(root);
  const tcp = await TcpProxy.start({ port: server.port });
  const http = await HttpFaultProxy.start(server.port);
  const secret = 'Zor5eit7';
  const portOf = (way: Way): number =>
    ({ straight: server.port, tcp: tcp.port, http: http.port })[way];
  const locate = (relative: string, way: Way): string =>
    `http://anna:${secret}@127.0.0.1:${portOf(way)}/${relative}/`;
  return {
    kind: 'rest',
    tcp,
    http,
    secret,
    place: placesIn(room, root, (_, relative) => ({
      kind: 'rest',
      open: (how) =>
        restStore.open(
          { scheme: 'rest', url: astray(locate(relative, how.way), how) },
          settings(how),
        ),
      name: (way) => ({ repository: `rest:${locate(relative, way)}`, options: [], variables: {} }),
    })),
    stop: async () => {
      await tcp.stop();
      await http.stop();
      await server.stop();
    },
  };
}

/** A real server of S3, or a model that is held against it, which is ten times as fast. */
export type S3Flavour = 'model' | 'radosgw';

interface S3Endpoint {
  readonly port: number;
  readonly variables: Readonly<Record<string, string>>;
  readonly makeBucket: () => { readonly name: string; readonly discard: () => void };
  readonly stop: () => Promise<void>;
}

async function startModel(): Promise<S3Endpoint> {
  const model = new ModelS3();
  await model.start();
  let count = 0;
  return {
    port: Number(new URL(model.endpoint).port),
    variables: model.variables,
    makeBucket: () => {
      const name = `faults-${count++}`;
      model.bucket(name);
      const discard = (): void => {
        model.buckets.delete(name);
        model.seen.length = 0;
      };
      return { name, discard };
    },
    stop: () => model.stop(),
  };
}

/** Objects stay in it until the server ends. */
function oneBucket(): ReturnType<S3Endpoint['makeBucket']> {
  return { name: 'faults', discard: () => {} };
}

async function startReal(room: Room): Promise<S3Endpoint> {
  const server = await startRadosgw(room.fresh('radosgw'));
  const { variables, stop } = server;
  return { port: Number(new URL(server.endpoint).port), variables, stop, makeBucket: oneBucket };
}

async function serveS3(room: Room, flavour: S3Flavour): Promise<Served> {
  const server = flavour === 'model' ? await startModel() : await startReal(room);
  const { port, variables } = server;
  const tcp = await TcpProxy.start({ port });
  const http = await HttpFaultProxy.start(port);
  const portOf = (way: Way): number => ({ straight: port, tcp: tcp.port, http: http.port })[way];
  let count = 0;
  const place = (): Place => {
    const prefix = `repository-${count++}`;
    const { name: bucket, discard } = server.makeBucket();
    const open = (how: OpenHow): Promise<Backend> => {
      const endpoint = astray(`127.0.0.1:${portOf(how.way)}`, how);
      const location = { scheme: 's3', endpoint, isEncrypted: false, bucket, prefix } as const;
      return s3Store.open(location, { ...settings(how), variables });
    };
    return {
      kind: 's3',
      folder: undefined,
      disk: undefined,
      ...soundPlace(() => open({ way: 'straight' })),
      open,
      name: (way) => ({
        repository: `s3:http://127.0.0.1:${portOf(way)}/${bucket}/${prefix}`,
        options: [],
        variables,
      }),
      plant: async (handle, content) => {
        const client = new S3Client({
          endpoint: `http://127.0.0.1:${port}`,
          region: 'us-east-1',
          forcePathStyle: true,
          credentials: {
            accessKeyId: variables['AWS_ACCESS_KEY_ID'] ?? '',
            secretAccessKey: variables['AWS_SECRET_ACCESS_KEY'] ?? '',
          },
        });
        const to = { Bucket: bucket, Key: `${prefix}/${fileOf(handle)}` };
        await client.send(new PutObjectCommand({ ...to, Body: content }));
        client.destroy();
      },
      discard,
    };
  };
  return {
    kind: 's3',
    tcp,
    http,
    secret: variables['AWS_SECRET_ACCESS_KEY'] ?? '',
    place,
    stop: async () => {
      await tcp.stop();
      await http.stop();
      await server.stop();
    },
  };
}

/** What is done to a place past all that spoils it. */
function soundPlace(openSound: () => Promise<Backend>): Pick<Place, 'openSound' | 'fill' | 'load'> {
  const withSound = async <T>(work: (backend: Backend) => Promise<T>): Promise<T> => {
    const backend = await openSound();
    try {
      return await work(backend);
    } finally {
      await backend.close();
    }
  };
  return {
    openSound,
    load: () => withSound(loadAll),
    fill: (files) =>
      withSound(async (backend) => {
        await backend.create();
        await storeAll(files, backend);
      }),
  };
}

/** Starts what stores of this kind need. */
export async function serve(
  kind: StoreKind,
  room: Room,
  { s3 }: { readonly s3: S3Flavour },
): Promise<Served> {
  if (kind === 'local') return serveLocal(room);
  if (kind === 'sftp') return serveSftp(room);
  return kind === 'rest' ? serveRest(room) : serveS3(room, s3);
}
