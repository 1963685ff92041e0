import { forEachConcurrent } from '../base/concurrency.ts';
import { endsWork, HoldfastError } from '../base/errors.ts';
import {
  type Backend,
  describeHandle,
  type FileHandle,
  type FileType,
  type FileVersion,
} from '../storage/backend.ts';
import { findGenuine } from '../storage/genuine.ts';
import type { PhaseMonitor } from '../base/monitor.ts';
import type { EngineContext } from './context.ts';
import { findConfig } from './rescue/find-config.ts';
import { groupVersions, isDoubtful, type Rescuable } from './rescue/groups.ts';

/** How a rescue works. */
export interface RescueOptions {
  /** Only find out what would be done. */
  readonly dryRun: boolean;
  /** Leave alone what was changed before, in milliseconds since 1970 by the clock of the storage; default: nothing. */
  readonly sinceMs?: number | undefined;
  /** Asked for only where several versions of the config differ. */
  readonly password: () => Promise<Uint8Array>;
}

/** What was done, or would be. */
export interface RescueResult {
  /** Files whose marks of removal are gone. */
  readonly restored: readonly FileHandle[];
  /** Files whose right version was put over a wrong one. */
  readonly replaced: readonly FileHandle[];
  /** Files of which no version holds what the name says: nothing was changed of them. */
  readonly lost: readonly FileHandle[];
  /** Files that could not be put back; each is told as a problem. */
  readonly failed: readonly FileHandle[];
}

/**
 * The config first: what is put back after it gets the lock that is promised beside it. Then the keys: with both the repository
 * can be opened, whatever happens next.
 */
const rescueOrder: readonly FileType[] = ['config', 'key', 'snapshot', 'index', 'pack', 'parity'];

/**
 * Undoes removals and overwrites, on storage that keeps older versions: of every file the newest version that holds the
 * bytes of its name becomes the newest again. Needs no lock and no index, and works without a config. It only adds versions and
 * takes marks of removal away; versions are not removed.
 *
 * What was removed on purpose, as by forget and prune, comes back as well, unless `sinceMs` leaves it out.
 * Contents are read of files that were changed only.
 * @throws UNSUPPORTED for a storage without versions; PASSWORD_WRONG; what the backend throws
 */
export async function rescue(
  backend: Backend,
  options: RescueOptions,
  context: EngineContext<PhaseMonitor>,
): Promise<RescueResult> {
  if (!backend.versions) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'this storage keeps no older versions of files',
      details: { location: backend.location },
      hint: 'Versions of S3 and of Azure can be brought back.',
    });
  }
  const run = new Rescue(backend, options, context);
  await run.readKeys();
  for (const type of rescueOrder) await run.ofType(type);
  for (const files of Object.values(run.result)) files.sort(byPlace);
  return run.result;
}

function byPlace(a: FileHandle, b: FileHandle): number {
  return rescueOrder.indexOf(a.type) - rescueOrder.indexOf(b.type) || (a.name < b.name ? -1 : 1);
}

class Rescue {
  readonly result = {
    restored: [] as FileHandle[],
    replaced: [] as FileHandle[],
    lost: [] as FileHandle[],
    failed: [] as FileHandle[],
  };
  readonly #backend: Backend;
  readonly #options: RescueOptions;
  readonly #context: EngineContext<PhaseMonitor>;
  /** Contents of key files as they should be. */
  readonly #keys = new Map<string, Uint8Array>();

  constructor(backend: Backend, options: RescueOptions, context: EngineContext<PhaseMonitor>) {
    this.#backend = backend;
    this.#options = options;
    this.#context = context;
  }

  /** What the config is told by, where there are several. Nothing is changed before that is known. */
  async readKeys(): Promise<void> {
    const { versions } = this.#backend;
    const { signal } = this.#context;
    for (const group of groupVersions((await versions?.list('key', { signal })) ?? [])) {
      const found = await this.#find(group);
      if (found) this.#keys.set(group.handle.name, found.content);
    }
  }

  async ofType(type: FileType): Promise<void> {
    const { monitor, signal } = this.#context;
    monitor.phase(`looking at the versions of ${type} files`);
    const groups = groupVersions((await this.#backend.versions?.list(type, { signal })) ?? []);
    const doubtful = groups.filter(isDoubtful);
    let filesDone = 0;
    await forEachConcurrent(doubtful, this.#backend.connectionCount, async (group) => {
      await this.#ofFile(group);
      const errorCount = this.result.failed.length + this.result.lost.length;
      const rest = { bytesDone: 0, errorCount, currentItems: [] };
      monitor.progress({ filesDone: ++filesDone, filesTotal: doubtful.length, ...rest });
    });
  }

  async #ofFile(group: Rescuable): Promise<void> {
    const [newest] = group.versions;
    const { handle } = group;
    // What was removed and has no version left was removed for good.
    if (!newest || group.contents.length === 0 || this.#isOlder(newest)) return;
    try {
      const found = await this.#find(group);
      if (found?.version === newest) return;
      if (!found) this.result.lost.push(handle);
      else if (newest.kind === 'removal') await this.#unremove(group, found);
      else await this.#replace(handle, found);
    } catch (error) {
      if (endsWork(error)) throw error;
      this.result.failed.push(handle);
      this.#context.monitor.problem({ item: describeHandle(handle), during: 'restore', error });
    }
  }

  #isOlder({ storedMs }: FileVersion): boolean {
    return storedMs < (this.#options.sinceMs ?? 0);
  }

  async #find({ handle, contents }: Rescuable): Promise<Found | undefined> {
    const { versions } = this.#backend;
    const { environment, signal } = this.#context;
    const [first] = contents;
    if (!versions || !first) return undefined;
    if (handle.type === 'config') {
      const { password } = this.#options;
      const how = { keys: this.#keys, password, environment, signal };
      return await findConfig(versions, contents, how);
    }
    // No name says what parity should be; what it holds says itself whether it is right.
    if (handle.type === 'parity') {
      return { version: first, content: await versions.get(first, { signal }) };
    }
    return await findGenuine(versions, contents, { signal });
  }

  /** Takes the marks away that hide the version, which costs nothing; where that is not allowed, stores its content again. */
  async #unremove({ handle, versions: all }: Rescuable, found: Found): Promise<void> {
    this.result.restored.push(handle);
    if (this.#options.dryRun) return;
    const above = all.slice(0, all.indexOf(found.version));
    const isBare = above.every(({ kind }) => kind === 'removal');
    if (isBare && (await this.#removeMarks(above)) && (await this.#isNewest(found))) return;
    await this.#putBack(found);
  }

  /** Times of a storage may be whole seconds: a mark may have been in front of it all the same. */
  async #isNewest({ version }: Found): Promise<boolean> {
    const all = await this.#backend.versions?.of(version.handle, { signal: this.#context.signal });
    return all?.[0]?.id === version.id;
  }

  async #removeMarks(marks: readonly FileVersion[]): Promise<boolean> {
    const { signal } = this.#context;
    try {
      for (const mark of marks) await this.#backend.versions?.remove(mark, { signal });
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      return false;
    }
  }

  async #replace(handle: FileHandle, found: Found): Promise<void> {
    this.result.replaced.push(handle);
    if (!this.#options.dryRun) await this.#putBack(found);
  }

  async #putBack({ version, content }: Found): Promise<void> {
    await this.#backend.versions?.putBack(version, content, { signal: this.#context.signal });
  }
}

interface Found {
  readonly version: FileVersion;
  readonly content: Uint8Array<ArrayBuffer>;
}
