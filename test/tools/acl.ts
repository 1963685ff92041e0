/** One entry of a POSIX ACL; `id` for a named user or group. */
export interface AclEntry {
  readonly tag: 'owner' | 'user' | 'owning-group' | 'group' | 'mask' | 'other';
  readonly permissions: number;
  readonly id?: number;
}

const tags = {
  owner: 0x01,
  user: 0x02,
  'owning-group': 0x04,
  group: 0x08,
  mask: 0x10,
  other: 0x20,
} as const;

/** The kernel's form of a POSIX ACL, as in the attribute `system.posix_acl_access`. @see acl(5) */
export function encodeAcl(entries: readonly AclEntry[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 + 8 * entries.length));
  view.setUint32(0, 2, true);
  entries.forEach(({ tag, permissions, id = 0xffffffff }, i) => {
    view.setUint16(4 + 8 * i, tags[tag], true);
    view.setUint16(6 + 8 * i, permissions, true);
    view.setUint32(8 + 8 * i, id, true);
  });
  return new Uint8Array(view.buffer);
}

/** An ACL with one named user and one named group. */
export function namedAcl(permissions: number, id: number): Uint8Array<ArrayBuffer> {
  return encodeAcl([
    { tag: 'owner', permissions: 7 },
    { tag: 'user', permissions, id },
    { tag: 'owning-group', permissions: 5 },
    { tag: 'group', permissions: 1, id: id + 1 },
    { tag: 'mask', permissions: 7 },
    { tag: 'other', permissions: 0 },
  ]);
}
