import type { SystemCalls } from '../system-calls.ts';
import { noAttributes } from '../system-calls.ts';
import {
  listPackedPortable,
  listPortable,
  scanNamesPortable,
  scanSmallPortable,
} from './directory.ts';
import {
  closePortable,
  makeDirectoryPortable,
  makeLinkPortable,
  makeNodePortable,
  makeSymlinkPortable,
  openPortable,
  readLinkPortable,
  readPortable,
  renamePortable,
  unlinkPortable,
} from './files.ts';
import { setModePortable, setOwnerPortable, setTimesPortable } from './metadata.ts';
import { ownerIdPortable, ownerNamePortable } from './owners.ts';
import { statusPortable } from './status.ts';
import { unsupported } from './unsupported.ts';

const lossesEverywhere: readonly string[] = [
  'Extended attributes, access control lists and capabilities are neither read nor set.',
  'Times are set to about a microsecond, and those before 1970 may be refused.',
  'Devices, FIFOs and sockets are recorded but cannot be made.',
  'Holes of sparse files are read as zeros and are not punched.',
  'Reading a directory changes its access time.',
  'File flags (immutable, no dump) are neither read nor set.',
  'Permissions are set in two steps: another program could swap the entry between them.',
];

const lossesWithoutMagicPaths: readonly string[] = [
  'Names below an opened directory are resolved by its path: another program could swap the directory.',
];

/** The calls made from `node:fs` alone, for systems other than Linux and where libc cannot be reached. */
export function portableCalls(): SystemCalls {
  const isLinux = process.platform === 'linux';
  return {
    kind: 'portable',
    losses: isLinux ? lossesEverywhere : [...lossesEverywhere, ...lossesWithoutMagicPaths],
    status: statusPortable,
    list: listPortable,
    listPacked: listPackedPortable,
    scanSmall: scanSmallPortable,
    scanNames: scanNamesPortable,
    open: (place, flags, mode) => openPortable(place, { flags, mode }),
    close: closePortable,
    read: readPortable,
    readLink: readLinkPortable,
    makeDirectory: makeDirectoryPortable,
    makeSymlink: makeSymlinkPortable,
    makeLink: makeLinkPortable,
    makeNode: makeNodePortable,
    rename: renamePortable,
    unlink: unlinkPortable,
    readAttributes: () => noAttributes,
    setAttribute: (place) => {
      throw unsupported('setxattr', place);
    },
    removeAttribute: (place) => {
      throw unsupported('removexattr', place);
    },
    setOwner: setOwnerPortable,
    setMode: setModePortable,
    setTimes: setTimesPortable,
    inodeFlags: () => undefined,
    setInodeFlags: (file) => {
      throw unsupported('ioctl', file);
    },
    seekData: () => -1,
    seekHole: () => -1,
    punchHole: () => false,
    allocate: () => false,
    syncFileSystem: () => false,
    userName: (uid) => ownerNamePortable('passwd', uid),
    groupName: (gid) => ownerNamePortable('group', gid),
    userId: (name) => ownerIdPortable('passwd', name),
    groupId: (name) => ownerIdPortable('group', name),
    isForeground: () => true,
    admitSignal: () => {},
    detachOutput: () => {},
    endProcess: (exitCode) => process.exit(exitCode),
  };
}
