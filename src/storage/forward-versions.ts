import {
  type CallOptions,
  describeHandle,
  type FileVersion,
  type Retention,
  type Versions,
} from './backend.ts';

/** Makes one call for a decorator: again after a failure, or when there is room for it. */
export type CallRunner = <T>(
  call: string,
  options: CallOptions | undefined,
  work: () => Promise<T>,
) => Promise<T>;

/** Passes the calls about versions on through `run`. */
export function versionsThrough(inner: Versions, run: CallRunner): Versions {
  return {
    list: (type, options) =>
      run(`list versions of ${type} files`, options, () => inner.list(type, options)),
    of: (handle, options) =>
      run(`list versions of ${describeHandle(handle)}`, options, () => inner.of(handle, options)),
    get: (version, options) =>
      run(`get ${describeVersion(version)}`, options, () => inner.get(version, options)),
    getPart: (version, range, options) =>
      run(`get ${describeVersion(version)}`, options, () => inner.getPart(version, range, options)),
    putBack: (version, content, options) =>
      run(`put ${describeVersion(version)}`, options, () =>
        inner.putBack(version, content, options),
      ),
    remove: (version, options) =>
      run(`remove ${describeVersion(version)}`, options, () => inner.remove(version, options)),
  };
}

/** Passes the calls about locks of files on through `run`. */
export function retentionThrough(inner: Retention, run: CallRunner): Retention {
  return {
    get promised() {
      return inner.promised;
    },
    promise: (period) => inner.promise(period),
    prepare: (options) => run('prepare locks', options, () => inner.prepare(options)),
    loadDefault: (options) => run('get default lock', options, () => inner.loadDefault(options)),
    load: (version, options) =>
      run(`get lock of ${describeVersion(version)}`, options, () => inner.load(version, options)),
    save: (version, lock, options) =>
      run(`lock ${describeVersion(version)}`, options, () => inner.save(version, lock, options)),
    putCanary: (content, lock, options) =>
      run('put canary', options, () => inner.putCanary(content, lock, options)),
    overwriteCanary: (content, options) =>
      run('put canary', options, () => inner.overwriteCanary(content, options)),
    canaries: (options) => run('list canaries', options, () => inner.canaries(options)),
  };
}

function describeVersion({ handle, isNewest }: FileVersion): string {
  return `${isNewest ? 'newest' : 'older'} version of ${describeHandle(handle)}`;
}
