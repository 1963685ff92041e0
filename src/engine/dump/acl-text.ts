const headerSizeBytes = 4;
const entrySizeBytes = 8;
const version = 2;

const tagNames: Readonly<Record<number, string>> = {
  0x01: 'user',
  0x02: 'user',
  0x04: 'group',
  0x08: 'group',
  0x10: 'mask',
  0x20: 'other',
};

/** Tags whose entry names a user or group. */
const namedTags = [0x02, 0x08];

/**
 * A POSIX ACL, as Linux keeps it in an extended attribute, in the text form that tar archives hold:
 * `user::rw-,user:1000:r--,group::r--,mask::r--,other::---`.
 *
 * @returns undefined for bytes that are no such ACL
 * @see Linux include/uapi/linux/posix_acl_xattr.h
 */
export function aclText(value: Uint8Array): string | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const isWhole = (value.byteLength - headerSizeBytes) % entrySizeBytes === 0;
  if (value.byteLength < headerSizeBytes || !isWhole) return undefined;
  if (view.getUint32(0, true) !== version) return undefined;
  const entries: string[] = [];
  for (let at = headerSizeBytes; at < value.byteLength; at += entrySizeBytes) {
    const tag = view.getUint16(at, true);
    const name = tagNames[tag];
    if (name === undefined) return undefined;
    const permissions = view.getUint16(at + 2, true);
    const id = namedTags.includes(tag) ? String(view.getUint32(at + 4, true)) : '';
    entries.push(`${name}:${id}:${permissionText(permissions)}`);
  }
  return entries.join(',');
}

function permissionText(permissions: number): string {
  return ['r', 'w', 'x'].map((letter, i) => (permissions & (4 >> i) ? letter : '-')).join('');
}
