import type { PlatformLosses, SystemCalls } from '../system-calls.ts';
import { noAttributes } from '../system-calls.ts';
import {
  listPackedPortable,
  listPortable,
  packSmallPortable,
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
  readAtOncePortable,
  readLinkPortable,
  readPortable,
  renamePortable,
  unlinkPortable,
} from './files.ts';
import { setModePortable, setOwnerPortable, setTimesPortable } from './metadata.ts';
import { ownerIdPortable, ownerNamePortable } from './owners.ts';
import { statusPortable } from './status.ts';
import { unsupported } from './unsupported.ts';

const attributesLost = 'extended attributes, access control lists and capabilities';
const holesLost = 'holes of sparse files';

function lossesOf(platform: NodeJS.Platform): PlatformLosses {
  // Elsewhere a name below an opened directory is resolved by its path.
  const below = platform === 'linux' ? [] : ['names below directories that somebody swaps'];
  return {
    backup: [attributesLost, holesLost, 'access times of directories'],
    restore: [
      attributesLost,
      holesLost,
      'times before 1970 and below a microsecond',
      'devices, FIFOs and sockets',
      'permissions of entries that somebody swaps meanwhile',
      ...below,
    ],
  };
}

/** The calls made from `node:fs` alone, for systems other than Linux and where libc cannot be reached. */
export function portableCalls(): SystemCalls {
  return {
    kind: 'portable',
    losses: lossesOf(process.platform),
    status: statusPortable,
    isMountRoot: () => undefined,
    list: listPortable,
    listPacked: listPackedPortable,
    scanSmall: scanSmallPortable,
    packSmall: packSmallPortable,
    scanNames: scanNamesPortable,
    open: (place, flags, mode) => openPortable(place, { flags, mode }),
    close: closePortable,
    read: readPortable,
    readAtOnce: readAtOncePortable,
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
    lock: () => true,
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
