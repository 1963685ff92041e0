/**
 * How often a file is read, and how, before its content is called damaged: bytes are also lost on their way. All readings
 * but the first go past caches, over another connection where the storage has several.
 */
export const readings: readonly { readonly fresh: boolean }[] = [
  { fresh: false },
  { fresh: true },
  { fresh: true },
];

/**
 * Reads until what was read is sound.
 * @param isDamage tells the errors that another reading may mend; others are thrown at once
 * @throws what the last reading threw
 */
export async function readUntilSound<Content>(
  read: (how: { readonly fresh: boolean }) => Promise<Content>,
  isDamage: (error: unknown) => boolean,
): Promise<Content> {
  for (let done = 1; ; done++) {
    try {
      return await read({ fresh: done > 1 });
    } catch (error) {
      if (done === readings.length || !isDamage(error)) throw error;
    }
  }
}
