import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import type { LibraryHandle } from 'koffi';

import { noteNativeLibrary } from '../../base/native-library.ts';

type Koffi = typeof import('koffi');

/** A number that stands for an address, from `Arena`. */
type Address = number;

/**
 * The functions of libc in use. Pointers are plain numbers into the arena or, where the type says so, byte arrays;
 * results follow C: -1 means look at `errno()`.
 *
 * Passing a number costs less than passing a byte array, and a call costs about 0.3 µs above the system call itself.
 */
export interface Libc {
  statx(directory: number, path: Address, flags: number, mask: number, target: Address): number;
  getdents64(directory: number, target: Address, sizeBytes: number): number;
  openat(directory: number, path: Address, flags: number, mode: number): number;
  close(file: number): number;
  dup2(file: number, as: number): number;
  read(file: number, target: Uint8Array, sizeBytes: number): number;
  pread(file: number, target: Uint8Array, sizeBytes: number, position: number): number;
  readlinkat(directory: number, path: Address, target: Address, sizeBytes: number): number;
  mkdirat(directory: number, path: Address, mode: number): number;
  symlinkat(target: Address, directory: number, path: Address): number;
  linkat(
    fromDirectory: number,
    from: Address,
    toDirectory: number,
    to: Address,
    flags: number,
  ): number;
  mknodat(directory: number, path: Address, mode: number, device: number | bigint): number;
  renameat2(
    fromDirectory: number,
    from: Address,
    toDirectory: number,
    to: Address,
    flags: number,
  ): number;
  unlinkat(directory: number, path: Address, flags: number): number;
  fchownat(directory: number, path: Address, uid: number, gid: number, flags: number): number;
  chmod(path: Address, mode: number): number;
  utimensat(directory: number, path: Address, times: Address, flags: number): number;
  listxattr(path: Address, target: Address, sizeBytes: number): number;
  llistxattr(path: Address, target: Address, sizeBytes: number): number;
  flistxattr(file: number, target: Address, sizeBytes: number): number;
  getxattr(path: Address, name: Address, target: Address, sizeBytes: number): number;
  lgetxattr(path: Address, name: Address, target: Address, sizeBytes: number): number;
  fgetxattr(file: number, name: Address, target: Address, sizeBytes: number): number;
  lsetxattr(path: Address, name: Address, value: Address, size: number, flags: number): number;
  fsetxattr(file: number, name: Address, value: Address, size: number, flags: number): number;
  lremovexattr(path: Address, name: Address): number;
  fremovexattr(file: number, name: Address): number;
  lseek(file: number, position: number, whence: number): number;
  fallocate(file: number, mode: number, start: number, sizeBytes: number): number;
  syncfs(file: number): number;
  flock(file: number, operation: number): number;
  ioctl(file: number, request: number, argument: Address): number;
  getpwuid_r(uid: number, entry: Address, text: Address, size: number, result: Address): number;
  getgrgid_r(gid: number, entry: Address, text: Address, size: number, result: Address): number;
  getpwnam_r(name: Address, entry: Address, text: Address, size: number, result: Address): number;
  getgrnam_r(name: Address, entry: Address, text: Address, size: number, result: Address): number;
  /** Ends all threads at once; never returns. */
  exitGroup(exitCode: number): void;
  /** Unblocks the signals of a set of 8 bytes for this thread. */
  unblockSignals(set: Address): number;
  tcgetpgrp(file: number): number;
  getpgrp(): number;
  /** Any system call by number; arguments are numbers. */
  syscall(
    number: number,
    first: number,
    second: number,
    third: number,
    fourth: number,
    fifth: number,
    sixth: number,
  ): number;
  /** Error number of the last failed call of this thread. */
  errno(): number;
  /** Address of the first byte of `bytes`, which must not live on the JavaScript heap. */
  address(bytes: Uint8Array): Address;
}

/** Only here are the structures laid out as this room reads them. */
const supportedArchitectures: ReadonlySet<string> = new Set(['x64', 'arm64', 'riscv64', 'loong64']);

/** libc through koffi, or undefined where either is missing or too old. */
export function loadLibc(assumeOld: boolean): Libc | undefined {
  if (process.platform !== 'linux' || endianness() !== 'LE') return undefined;
  if (!supportedArchitectures.has(process.arch)) return undefined;
  try {
    // Loaded here, not imported: koffi is an optional part, and its start costs some milliseconds.
    const koffi: Koffi = createRequire(import.meta.url)('koffi');
    noteNativeLibrary();
    return bind(koffi, koffi.load(null), assumeOld);
  } catch {
    return undefined;
  }
}

function bind(koffi: Koffi, library: LibraryHandle, assumeOld: boolean): Libc {
  const syscall: Libc['syscall'] = library.func(
    'int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)',
  );
  return {
    ...bindNewer(assumeOld ? undefined : library, syscall),
    openat: library.func('int openat(int, intptr_t, int, unsigned int)'),
    close: library.func('int close(int)'),
    dup2: library.func('int dup2(int, int)'),
    read: library.func('int64_t read(int, uint8_t *, size_t)'),
    pread: library.func('int64_t pread(int, uint8_t *, size_t, int64_t)'),
    readlinkat: library.func('int64_t readlinkat(int, intptr_t, intptr_t, size_t)'),
    mkdirat: library.func('int mkdirat(int, intptr_t, unsigned int)'),
    symlinkat: library.func('int symlinkat(intptr_t, int, intptr_t)'),
    linkat: library.func('int linkat(int, intptr_t, int, intptr_t, int)'),
    mknodat: library.func('int mknodat(int, intptr_t, unsigned int, uint64_t)'),
    unlinkat: library.func('int unlinkat(int, intptr_t, int)'),
    fchownat: library.func('int fchownat(int, intptr_t, unsigned int, unsigned int, int)'),
    chmod: library.func('int chmod(intptr_t, unsigned int)'),
    utimensat: library.func('int utimensat(int, intptr_t, intptr_t, int)'),
    listxattr: library.func('int64_t listxattr(intptr_t, intptr_t, size_t)'),
    llistxattr: library.func('int64_t llistxattr(intptr_t, intptr_t, size_t)'),
    flistxattr: library.func('int64_t flistxattr(int, intptr_t, size_t)'),
    getxattr: library.func('int64_t getxattr(intptr_t, intptr_t, intptr_t, size_t)'),
    lgetxattr: library.func('int64_t lgetxattr(intptr_t, intptr_t, intptr_t, size_t)'),
    fgetxattr: library.func('int64_t fgetxattr(int, intptr_t, intptr_t, size_t)'),
    lsetxattr: library.func('int lsetxattr(intptr_t, intptr_t, intptr_t, size_t, int)'),
    fsetxattr: library.func('int fsetxattr(int, intptr_t, intptr_t, size_t, int)'),
    lremovexattr: library.func('int lremovexattr(intptr_t, intptr_t)'),
    fremovexattr: library.func('int fremovexattr(int, intptr_t)'),
    lseek: library.func('int64_t lseek(int, int64_t, int)'),
    fallocate: library.func('int fallocate(int, int, int64_t, int64_t)'),
    syncfs: library.func('int syncfs(int)'),
    flock: library.func('int flock(int, int)'),
    ioctl: library.func('int ioctl(int, uint64_t, intptr_t)'),
    getpwuid_r: library.func('int getpwuid_r(unsigned int, intptr_t, intptr_t, size_t, intptr_t)'),
    getgrgid_r: library.func('int getgrgid_r(unsigned int, intptr_t, intptr_t, size_t, intptr_t)'),
    getpwnam_r: library.func('int getpwnam_r(intptr_t, intptr_t, intptr_t, size_t, intptr_t)'),
    getgrnam_r: library.func('int getgrnam_r(intptr_t, intptr_t, intptr_t, size_t, intptr_t)'),
    tcgetpgrp: library.func('int tcgetpgrp(int)'),
    getpgrp: library.func('int getpgrp()'),
    exitGroup: (exitCode) => void syscall(numbers.exitGroup, exitCode, 0, 0, 0, 0, 0),
    unblockSignals: (set) => syscall(numbers.signalMask, signalUnblock, set, 0, 8, 0, 0),
    syscall,
    errno: () => koffi.errno(),
    address: (bytes) => Number(koffi.address(bytes)),
  };
}

/** System call numbers, for a libc that has no function for them: x64, and all other supported architectures. */
const numbers =
  process.arch === 'x64'
    ? { statx: 332, getdents64: 217, renameat2: 316, exitGroup: 231, signalMask: 14 }
    : { statx: 291, getdents64: 61, renameat2: 276, exitGroup: 94, signalMask: 135 };
/** SIG_UNBLOCK. */
const signalUnblock = 1;

/** Functions that glibc before 2.30 and some versions of musl lack. */
function bindNewer(
  library: LibraryHandle | undefined,
  syscall: Libc['syscall'],
): Pick<Libc, 'statx' | 'getdents64' | 'renameat2'> {
  return {
    statx:
      bindOptional(library, 'int statx(int, intptr_t, int, unsigned int, intptr_t)') ??
      ((directory, path, flags, mask, target) =>
        syscall(numbers.statx, directory, path, flags, mask, target, 0)),
    getdents64:
      bindOptional(library, 'int64_t getdents64(int, intptr_t, size_t)') ??
      ((directory, target, size) => syscall(numbers.getdents64, directory, target, size, 0, 0, 0)),
    renameat2:
      bindOptional(library, 'int renameat2(int, intptr_t, int, intptr_t, unsigned int)') ??
      ((fromDirectory, from, toDirectory, to, flags) =>
        syscall(numbers.renameat2, fromDirectory, from, toDirectory, to, flags, 0)),
  };
}

function bindOptional(
  library: LibraryHandle | undefined,
  prototype: string,
): ReturnType<LibraryHandle['func']> | undefined {
  try {
    return library?.func(prototype);
  } catch {
    return undefined;
  }
}
