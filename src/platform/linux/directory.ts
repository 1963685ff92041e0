import type { HoldfastError } from '../../base/errors.ts';
import { type NamePlace, sortByName, sortPlaces } from '../sort-names.ts';
import { PackedNames } from '../sorted-names.ts';
import {
  type EntryPacker,
  type FileKind,
  type FileStatus,
  noAttributes,
  type ScannedEntry,
  type ScanOptions,
} from '../system-calls.ts';
import { errnoName, systemError } from '../system-error.ts';
import { type Arena, arenaAt, arenaListingSizeBytes, placeText } from './arena.ts';
import { attempt, errnoOf, failure, type Linux } from './context.ts';
import { hasNoAttributes, readAttributesOfListed } from './attributes.ts';
import { readLinkLinux } from './files.ts';
import { decodeStatus, packLastStatus, statusFlagsNoFollow, statusMask } from './status.ts';

/** struct linux_dirent64: inode 8, offset 8, record length 2, type 1, then the name as a C string. */
const recordLengthAt = 16;
const nameAt = 19;

/** Less room for a listing is not asked to hold anything: a record takes up to 280 bytes, on FUSE some thousand. */
const roomBytesMin = 8 << 10;

/** Names in the directory, in its own order. */
export function listLinux(linux: Linux, directory: number): Uint8Array<ArrayBuffer>[] {
  const names: Uint8Array<ArrayBuffer>[] = [];
  const { bytes } = linux.arena;
  rewind(linux, directory);
  readOn(linux, directory, (nameOffset) => names.push(copyName(bytes, nameOffset)));
  return names;
}

/** As `listLinux`, packed. */
export function listPackedLinux(linux: Linux, directory: number): PackedNames {
  const names = new PackedNames();
  rewind(linux, directory);
  readOn(linux, directory, (nameOffset) => addName(names, linux.arena.bytes, nameOffset));
  return names;
}

/** Every entry with its status, or only the names of what the arena cannot hold; see `scanOrList`. */
export function scanSmallLinux(
  linux: Linux,
  directory: number,
  options: ScanOptions,
): ScannedEntry[] | PackedNames {
  const { bytes } = linux.arena;
  rewind(linux, directory);
  const { end, isWhole } = readFirst(linux, directory);
  if (!isWhole) {
    const names = new PackedNames();
    const add = (nameOffset: number): void => addName(names, bytes, nameOffset);
    visitListed(bytes, end, add);
    readOn(linux, directory, add);
    return names;
  }
  const scan = newScan(directory, options);
  for (let at: number = arenaAt.listing; at < end; at += recordLength(bytes, at)) {
    const nameOffset = at + nameAt;
    if (isDots(bytes, nameOffset)) continue;
    scanEntry(linux, scan, { nameOffset, name: copyName(bytes, nameOffset) });
  }
  tellProblems(scan, options);
  return sortByName(scan.entries);
}

/** Packs every entry, of a directory that the arena holds; false if there is anything unusual about one. See `scanPacked`. */
export function packSmallLinux(linux: Linux, directory: number, packer: EntryPacker): boolean {
  rewind(linux, directory);
  const { end, isWhole } = readFirst(linux, directory);
  if (!isWhole) return false;
  const places: NamePlace[] = [];
  const { bytes } = linux.arena;
  visitListed(bytes, end, (start) => places.push({ bytes, start, end: nameEnd(bytes, start) }));
  return sortPlaces(places).every((place) => packEntry(linux, { directory, place }, packer));
}

function packEntry(
  linux: Linux,
  { directory, place }: { directory: number; place: NamePlace },
  packer: EntryPacker,
): boolean {
  const { libc, arena } = linux;
  const { start, end } = place;
  const path = arena.base + start;
  const target = arena.base + arenaAt.status;
  if (libc.statx(directory, path, statusFlagsNoFollow, statusMask, target) !== 0) return false;
  let kind: FileKind | undefined;
  const isPacked = packer.add(place, (numbers, at) => {
    kind = packLastStatus(arena, numbers, at);
    return kind !== undefined;
  });
  if (!isPacked) return false;
  const isPlain = hasNoAttributes(linux, directory, start);
  if (isPlain && kind !== 'symlink') return true;
  const name = arena.bytes.slice(start, end);
  let isWhole = true;
  const attributes = isPlain
    ? noAttributes
    : readAttributesOfListed(linux, { directory, nameOffset: start, name }, () => {
        isWhole = false;
      });
  const linkTarget = kind === 'symlink' ? readLinkLinux(linux, { directory, name }) : undefined;
  packer.addExtra({ attributes, linkTarget });
  return isWhole;
}

/** The named entries with their status; see `scanNames`. */
export function scanNamesLinux(
  linux: Linux,
  { directory, names }: { directory: number; names: readonly Uint8Array<ArrayBuffer>[] },
  options: ScanOptions,
): ScannedEntry[] {
  const scan = newScan(directory, options);
  const nameOffset = arenaAt.listing;
  for (const name of names) {
    placeText(linux.arena, nameOffset, name);
    scanEntry(linux, scan, { nameOffset, name });
  }
  tellProblems(scan, options);
  return scan.entries;
}

/** A scan under way. Problems are told at its end, because the caller's code may use the arena. */
interface Scan {
  readonly directory: number;
  readonly wantsAttributes: boolean;
  readonly entries: ScannedEntry[];
  readonly vanished: Uint8Array[];
  readonly problems: { readonly name: Uint8Array; readonly error: HoldfastError }[];
}

function newScan(directory: number, options: ScanOptions): Scan {
  const wantsAttributes = options.extendedAttributes ?? false;
  return { directory, wantsAttributes, entries: [], vanished: [], problems: [] };
}

/** Adds the entry whose name stands in the arena. */
function scanEntry(
  linux: Linux,
  scan: Scan,
  { nameOffset, name }: { nameOffset: number; name: Uint8Array<ArrayBuffer> },
): void {
  const { directory } = scan;
  const status = statusOfListed(linux, directory, nameOffset);
  if (status === undefined) {
    scan.vanished.push(name);
    return;
  }
  const extendedAttributes = scan.wantsAttributes
    ? readAttributesOfListed(linux, { directory, nameOffset, name }, (error) =>
        scan.problems.push({ name, error }),
      )
    : noAttributes;
  scan.entries.push({ name, status, extendedAttributes });
}

function tellProblems(scan: Scan, options: ScanOptions): void {
  for (const name of scan.vanished) options.onVanished?.(name);
  for (const { name, error } of scan.problems) options.onAttributeProblem?.(name, error);
}

/** Status of a name that stands in the arena; undefined if it is gone. */
function statusOfListed(
  linux: Linux,
  directory: number,
  nameOffset: number,
): FileStatus | HoldfastError | undefined {
  const { libc, arena } = linux;
  const name = arena.base + nameOffset;
  const target = arena.base + arenaAt.status;
  while (libc.statx(directory, name, statusFlagsNoFollow, statusMask, target) !== 0) {
    const errno = libc.errno();
    if (errno === errnoOf.ENOENT) return undefined;
    if (errno !== errnoOf.EINTR) return statusError(arena, directory, nameOffset, errnoName(errno));
  }
  return decodeStatus(arena) ?? statusError(arena, directory, nameOffset, 'EOVERFLOW');
}

function statusError(
  arena: Arena,
  directory: number,
  nameOffset: number,
  code: string,
): HoldfastError {
  const name = copyName(arena.bytes, nameOffset);
  return systemError({ call: 'statx', place: { directory, name } }, code);
}

function rewind(linux: Linux, directory: number): void {
  const result = attempt(linux, () => linux.libc.lseek(directory, 0, 0));
  if (result < 0) throw failure({ call: 'lseek', place: directory }, -result);
}

/** Fills the arena from the start of the directory. Of a small one this takes no more calls than listing it. */
function readFirst(linux: Linux, directory: number): { end: number; isWhole: boolean } {
  const stop = arenaAt.listing + arenaListingSizeBytes;
  let end: number = arenaAt.listing;
  while (stop - end >= roomBytesMin) {
    const sizeBytes = readListing(linux, directory, end);
    if (sizeBytes === 0) return { end, isWhole: true };
    end += sizeBytes;
  }
  return { end, isWhole: false };
}

/** Tells where the names of all further entries stand in the arena, one after the other. */
function readOn(linux: Linux, directory: number, visit: (nameOffset: number) => void): void {
  for (;;) {
    const sizeBytes = readListing(linux, directory, arenaAt.listing);
    if (sizeBytes === 0) return;
    visitListed(linux.arena.bytes, arenaAt.listing + sizeBytes, visit);
  }
}

function visitListed(bytes: Uint8Array, end: number, visit: (nameOffset: number) => void): void {
  for (let at: number = arenaAt.listing; at < end; at += recordLength(bytes, at)) {
    if (!isDots(bytes, at + nameAt)) visit(at + nameAt);
  }
}

/** Reads records to the arena at `start`. @returns their bytes, 0 at the end of the directory */
function readListing(linux: Linux, directory: number, start: number): number {
  const { libc, arena } = linux;
  const roomBytes = arenaAt.listing + arenaListingSizeBytes - start;
  for (;;) {
    const sizeBytes = libc.getdents64(directory, arena.base + start, roomBytes);
    if (sizeBytes >= 0) return sizeBytes;
    const errno = libc.errno();
    if (errno !== errnoOf.EINTR) throw failure({ call: 'getdents64', place: directory }, errno);
  }
}

function recordLength(bytes: Uint8Array, at: number): number {
  return bytes[at + recordLengthAt]! | (bytes[at + recordLengthAt + 1]! << 8);
}

function isDots(bytes: Uint8Array, name: number): boolean {
  if (bytes[name] !== 0x2e) return false;
  return bytes[name + 1] === 0 || (bytes[name + 1] === 0x2e && bytes[name + 2] === 0);
}

function addName(names: PackedNames, bytes: Uint8Array, start: number): void {
  names.add(bytes, start, nameEnd(bytes, start));
}

function nameEnd(bytes: Uint8Array, start: number): number {
  let end = start;
  while (bytes[end] !== 0) end++;
  return end;
}

function copyName(bytes: Uint8Array<ArrayBuffer>, start: number): Uint8Array<ArrayBuffer> {
  return bytes.slice(start, nameEnd(bytes, start));
}
