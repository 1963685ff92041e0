import { readWholeFile } from '../platform/files.ts';

const argumentsSizeBytesMax = 64 * 1024 * 1024;
const replacement = '\ufffd';

/**
 * Arguments of this process as bytes. Node decodes them as UTF-8, which loses what is none; where that happened, the
 * bytes are taken from the system.
 */
export function rawArguments(args: readonly string[]): (string | Uint8Array)[] {
  if (!args.some((text) => text.includes(replacement))) return [...args];
  const raw = processArguments();
  return args.map((text) => {
    if (!text.includes(replacement)) return text;
    // Several may decode to the same text: each is used once, in order.
    const at = raw.findIndex((bytes) => Buffer.from(bytes).toString('utf8') === text);
    return at < 0 ? text : (raw.splice(at, 1)[0] ?? text);
  });
}

function processArguments(): Uint8Array[] {
  try {
    const options = { sizeBytesMax: argumentsSizeBytesMax };
    const bytes = readWholeFile(Buffer.from('/proc/self/cmdline'), options);
    const parts: Uint8Array[] = [];
    for (let start = 0; start < bytes.byteLength; ) {
      const end = bytes.indexOf(0, start);
      if (end < 0) break;
      parts.push(bytes.subarray(start, end));
      start = end + 1;
    }
    return parts;
  } catch {
    return [];
  }
}
