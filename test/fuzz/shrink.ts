import { join } from './mutate-bytes.ts';

/** Tries at most so many smaller inputs. */
const triesMax = 600;

/** The smallest input found that still fails: first whole lines go, then ever smaller runs of bytes. */
export async function shrink(
  input: Uint8Array,
  stillFails: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  const tried = { count: 0 };
  const isWorse = async (candidate: Uint8Array): Promise<boolean> =>
    tried.count++ < triesMax && (await stillFails(candidate));
  let smallest = await dropLines(input, isWorse);
  for (let size = smallest.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < smallest.length && tried.count < triesMax; ) {
      const candidate = join(smallest.subarray(0, at), smallest.subarray(at + size));
      if (await isWorse(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}

async function dropLines(
  input: Uint8Array,
  isWorse: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let lines = Buffer.from(input).toString('latin1').split('\n');
  for (let at = lines.length - 1; at >= 0 && lines.length > 1; at--) {
    const fewer = lines.toSpliced(at, 1);
    if (await isWorse(Buffer.from(fewer.join('\n'), 'latin1'))) lines = fewer;
  }
  return Uint8Array.from(Buffer.from(lines.join('\n'), 'latin1'));
}
