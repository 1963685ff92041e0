/**
 * A device number as glibc's `makedev` and Go's `unix.Mkdev` encode it, which is what snapshots store.
 * @returns a bigint only from 2^53 on (major number from 2^21 on)
 */
export function makeDevice(major: number, minor: number): number | bigint {
  // Nearly every device: 12 bits of major number, 20 of minor.
  const low = (minor & 0xff) + (major & 0xfff) * 256 + (minor >>> 8) * 1048576;
  const isLarge = minor > 0xfffff || major > 0xfff;
  return isLarge ? makeLargeDevice(major, minor) : low;
}

/** The major and minor number in a device number. */
export function splitDevice(device: number | bigint): { major: number; minor: number } {
  const value = BigInt(device);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffffff00n)),
  };
}

function makeLargeDevice(major: number, minor: number): number | bigint {
  const a = BigInt(major);
  const i = BigInt(minor);
  const value =
    (i & 0xffn) | ((a & 0xfffn) << 8n) | ((i & 0xffffff00n) << 12n) | ((a & 0xfffff000n) << 32n);
  return value < 2n ** 53n ? Number(value) : value;
}
