import type { HoldfastError } from '../../base/errors.ts';
import { type EntryPlace, type Place, printablePath } from '../place.ts';
import {
  type AttributeProblem,
  type ExtendedAttribute,
  type ExtendedAttributeInput,
  noAttributes,
} from '../system-calls.ts';
import { errnoName, systemError } from '../system-error.ts';
import { arenaAt, attributeSizeBytesMax, placeText, putSigned } from './arena.ts';
import {
  type Aim,
  atFlag,
  attempt,
  callAt,
  callNumber,
  errnoOf,
  failure,
  type Linux,
  tryCallAt,
} from './context.ts';

/** The kernel allocates and clears what the caller offers: most lists and values are small, so offer little first. */
const firstSizeBytes = 256;

/** sizeof(struct xattr_args): value address 8, size 4, flags 4. */
const argumentsSizeBytes = 16;

/** The entry whose attributes are meant, in the form that this kernel's calls take. */
interface Subject {
  /** `at`: directory, path and flags. `file`: directory is the file. `link`, `path`: the path alone. */
  readonly form: 'at' | 'file' | 'link' | 'path';
  readonly directory: number;
  readonly path: number;
  readonly flags: number;
}

/**
 * Extended attributes of a name that stands in the arena, in a listing; one call if there are none, the usual case.
 *
 * Measured: 1.5 µs with `listxattrat`, of which the kernel takes 1.2.
 */
export function readAttributesOfListed(
  linux: Linux,
  entry: { readonly directory: number; readonly nameOffset: number; readonly name: Uint8Array },
  onProblem: (error: HoldfastError) => void,
): readonly ExtendedAttribute[] {
  const { directory } = entry;
  if (hasNoAttributes(linux, directory, entry.nameOffset)) return noAttributes;
  const place = { directory, name: entry.name };
  const { result, attributes, problems } = collect(linux, place, false);
  if (result < 0 && result !== -errnoOf.ENOTSUP && result !== -errnoOf.ENOENT) {
    onProblem(failure({ call: 'listxattr', place }, -result));
  }
  for (const { name, errno } of problems) onProblem(valueError(place, name, errno));
  return attributes;
}

/** True if a name that stands in the arena has none for certain, or is gone: whoever opens it will say so. */
export function hasNoAttributes(linux: Linux, directory: number, nameOffset: number): boolean {
  if (!linux.hasAttributesAt) return false;
  const { libc, arena } = linux;
  const name = arena.base + nameOffset;
  const flags = atFlag.symlinkNoFollow;
  // Asked for the size alone, the kernel has nothing to allocate.
  const sizeBytes = libc.syscall(callNumber.listxattrat, directory, name, flags, 0, 0, 0);
  if (sizeBytes >= 0) return sizeBytes === 0;
  const errno = libc.errno();
  return errno === errnoOf.ENOTSUP || errno === errnoOf.ENOENT;
}

/** All extended attributes in the kernel's order; none where the file system has no such thing. */
export function readAttributesLinux(
  linux: Linux,
  place: Place,
  { follow, onProblem }: { follow: boolean; onProblem: AttributeProblem | undefined },
): readonly ExtendedAttribute[] {
  const { result, attributes, problems } = collect(linux, place, follow);
  if (result === 0 || result === -errnoOf.ENOTSUP) return noAttributes;
  if (result < 0) throw failure({ call: 'listxattr', place }, -result);
  for (const { name, errno } of problems) {
    const error = valueError(place, name, errno);
    if (onProblem === undefined) throw error;
    onProblem(name, error);
  }
  return attributes;
}

interface Collected {
  /** Size of the list of names, or the negative error number. */
  readonly result: number;
  readonly attributes: ExtendedAttribute[];
  readonly problems: { readonly name: Uint8Array; readonly errno: number }[];
}

function collect(linux: Linux, place: Place, follow: boolean): Collected {
  const attributes: ExtendedAttribute[] = [];
  const problems: { name: Uint8Array; errno: number }[] = [];
  const result = tryCallAt(linux, place, (aim) => {
    const subject = subjectOf(linux, aim, follow);
    const sizeBytes = listNames(linux, subject);
    if (sizeBytes <= 0) return sizeBytes;
    for (const name of namesInList(linux, sizeBytes)) {
      const value = readValue(linux, subject, name);
      if (typeof value !== 'number') attributes.push({ name, value });
      // Removed since it was listed: it is not there, which is no problem.
      else if (value !== errnoOf.ENODATA) problems.push({ name, errno: value });
    }
    return sizeBytes;
  });
  return { result, attributes, problems };
}

function valueError(place: Place, name: Uint8Array, errno: number): HoldfastError {
  const call = `getxattr(${printablePath(name)})`;
  return systemError({ call, place }, errnoName(errno));
}

/** Sets one attribute, new or not. */
export function setAttributeLinux(
  linux: Linux,
  place: number | EntryPlace,
  { name, value }: ExtendedAttributeInput,
): void {
  const { libc, arena } = linux;
  const failed = { call: 'setxattr', place };
  if (value.length > attributeSizeBytesMax) throw systemError(failed, 'E2BIG');
  arena.bytes.set(value, arenaAt.attributeValue);
  const from = arena.base + arenaAt.attributeValue;
  const nameAt = placeText(arena, arenaAt.attributeList, name);
  callAt(linux, failed, (aim) => {
    const { form, directory, path, flags } = subjectOf(linux, aim, false);
    if (form === 'file') return libc.fsetxattr(directory, nameAt, from, value.length, 0);
    if (form !== 'at') return libc.lsetxattr(path, nameAt, from, value.length, 0);
    const record = putArguments(linux, from, value.length);
    const call = callNumber.setxattrat;
    return libc.syscall(call, directory, path, flags, nameAt, record, argumentsSizeBytes);
  });
}

/** Removes an extended attribute; of a link its own. Throws ENODATA if there is none. */
export function removeAttributeLinux(
  linux: Linux,
  place: number | EntryPlace,
  name: Uint8Array,
): void {
  const { libc, arena } = linux;
  const nameAt = placeText(arena, arenaAt.attributeList, name);
  callAt(linux, { call: 'removexattr', place }, (aim) => {
    const { form, directory, path, flags } = subjectOf(linux, aim, false);
    if (form === 'file') return libc.fremovexattr(directory, nameAt);
    if (form !== 'at') return libc.lremovexattr(path, nameAt);
    return libc.syscall(callNumber.removexattrat, directory, path, flags, nameAt, 0, 0);
  });
}

/** Leaves the list of names in the arena. @returns its size, or -1 with an error number */
function listNames(linux: Linux, subject: Subject): number {
  const first = listInto(linux, subject, firstSizeBytes);
  if (first >= 0 || linux.libc.errno() !== errnoOf.ERANGE) return first;
  return listInto(linux, subject, attributeSizeBytesMax);
}

function listInto({ libc, arena }: Linux, subject: Subject, sizeBytes: number): number {
  const { form, directory, path, flags } = subject;
  const target = arena.base + arenaAt.attributeList;
  if (form === 'file') return libc.flistxattr(directory, target, sizeBytes);
  if (form === 'link') return libc.llistxattr(path, target, sizeBytes);
  if (form === 'path') return libc.listxattr(path, target, sizeBytes);
  return libc.syscall(callNumber.listxattrat, directory, path, flags, target, sizeBytes, 0);
}

/** The value of the attribute, or the error number. */
function readValue(
  linux: Linux,
  subject: Subject,
  name: Uint8Array,
): Uint8Array<ArrayBuffer> | number {
  const start = arenaAt.attributeValue;
  let size = attempt(linux, () => getInto(linux, subject, { name, sizeBytes: firstSizeBytes }));
  if (size === -errnoOf.ERANGE) {
    size = attempt(linux, () =>
      getInto(linux, subject, { name, sizeBytes: attributeSizeBytesMax }),
    );
  }
  return size < 0 ? -size : linux.arena.bytes.slice(start, start + size);
}

function getInto(
  linux: Linux,
  subject: Subject,
  { name, sizeBytes }: { name: Uint8Array; sizeBytes: number },
): number {
  const { libc, arena } = linux;
  const { form, directory, path, flags } = subject;
  const nameAt = placeText(arena, arenaAt.attributeName, name);
  const target = arena.base + arenaAt.attributeValue;
  if (form === 'file') return libc.fgetxattr(directory, nameAt, target, sizeBytes);
  if (form === 'link') return libc.lgetxattr(path, nameAt, target, sizeBytes);
  if (form === 'path') return libc.getxattr(path, nameAt, target, sizeBytes);
  const record = putArguments(linux, target, sizeBytes);
  const call = callNumber.getxattrat;
  return libc.syscall(call, directory, path, flags, nameAt, record, argumentsSizeBytes);
}

/** Copies of the zero-ended names of the list that stands in the arena. */
function namesInList(linux: Linux, sizeBytes: number): Uint8Array<ArrayBuffer>[] {
  const names: Uint8Array<ArrayBuffer>[] = [];
  const { bytes } = linux.arena;
  const end = arenaAt.attributeList + sizeBytes;
  let start: number = arenaAt.attributeList;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0) continue;
    if (at > start) names.push(bytes.slice(start, at));
    start = at + 1;
  }
  return names;
}

function subjectOf(linux: Linux, aim: Aim, follow: boolean): Subject {
  const { directory, path } = aim;
  if (linux.hasAttributesAt) {
    const flags = aim.flags | (follow ? 0 : atFlag.symlinkNoFollow);
    return { form: 'at', directory, path, flags };
  }
  if (aim.flags === atFlag.emptyPath) return { form: 'file', directory, path, flags: 0 };
  const form = follow ? 'path' : 'link';
  if (directory === atFlag.workingDirectory) return { form, directory, path, flags: 0 };
  return { form, directory, path: magicPathOf(linux, directory), flags: 0 };
}

/** `/proc/self/fd/N/name` for the name at the arena's path. */
function magicPathOf({ arena }: Linux, directory: number): number {
  const { bytes } = arena;
  const prefix = Buffer.from(`/proc/self/fd/${directory}/`);
  bytes.set(prefix, arenaAt.secondPath);
  const nameEnd = bytes.indexOf(0, arenaAt.path) + 1;
  bytes.copyWithin(arenaAt.secondPath + prefix.length, arenaAt.path, nameEnd);
  return arena.base + arenaAt.secondPath;
}

/** struct xattr_args in the arena. */
function putArguments({ arena }: Linux, value: number, sizeBytes: number): number {
  putSigned(arena, arenaAt.record / 4, value);
  putSigned(arena, arenaAt.record / 4 + 2, sizeBytes);
  return arena.base + arenaAt.record;
}
