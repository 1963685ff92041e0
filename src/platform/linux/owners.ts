import { type Arena, arenaAt, placeText } from './arena.ts';
import { errnoOf, type Linux } from './context.ts';

/** struct passwd and struct group begin alike on 64-bit Linux: name 8 bytes, password 8, id 4. */
const entryAt = { name: 0, id: 16 } as const;
const resultAt = arenaAt.record + 64;
/** Offered first; a group with thousands of members needs more. */
const textSizeBytes = 192 << 10;

type Lookup = (entry: number, text: number, size: number, result: number) => number;

/** Name of a user or group as the machine's name services know it (files, LDAP, SSSD); undefined if unknown. */
export function ownerNameLinux(
  linux: Linux,
  what: 'user' | 'group',
  id: number,
): string | undefined {
  const { libc, arena } = linux;
  const found = lookUp(linux, (entry, text, size, result) =>
    what === 'user'
      ? libc.getpwuid_r(id, entry, text, size, result)
      : libc.getgrgid_r(id, entry, text, size, result),
  );
  return found ? textAt(arena, addressAt(arena, arenaAt.record + entryAt.name)) : undefined;
}

/** Id of a user or group; undefined if unknown. */
export function ownerIdLinux(
  linux: Linux,
  what: 'user' | 'group',
  name: string,
): number | undefined {
  const { libc, arena } = linux;
  if (name === '' || name.includes('\0')) return undefined;
  const nameAt = placeText(arena, arenaAt.path, Buffer.from(name));
  const found = lookUp(linux, (entry, text, size, result) =>
    what === 'user'
      ? libc.getpwnam_r(nameAt, entry, text, size, result)
      : libc.getgrnam_r(nameAt, entry, text, size, result),
  );
  return found ? arena.words[(arenaAt.record + entryAt.id) / 4] : undefined;
}

function lookUp(linux: Linux, lookup: Lookup): boolean {
  const { arena } = linux;
  const { base } = arena;
  for (;;) {
    const error = lookup(
      base + arenaAt.record,
      base + arenaAt.listing,
      textSizeBytes,
      base + resultAt,
    );
    // These functions return the error number. A name service that fails is one that does not know.
    if (error !== errnoOf.EINTR) return error === 0 && addressAt(arena, resultAt) !== 0;
  }
}

function addressAt(arena: Arena, offset: number): number {
  const words = arena.words;
  return words[offset / 4 + 1]! * 4294967296 + words[offset / 4]!;
}

/** The C string at an address inside the arena. */
function textAt(arena: Arena, address: number): string | undefined {
  const start = address - arena.base;
  if (start < 0 || start >= arena.bytes.length) return undefined;
  const end = arena.bytes.indexOf(0, start);
  return Buffer.from(arena.bytes.subarray(start, end)).toString('utf8');
}
