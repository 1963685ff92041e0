/** No chunk but the last of a file is shorter: 512 KiB. */
export const chunkSizeBytesMin = 524288;

/** No chunk is longer: 8 MiB. */
export const chunkSizeBytesMax = 8388608;

/** Number of bytes before a position that decide whether a cut may be there. */
export const windowSizeBytes = 64;
