const utf8Mark = [0xef, 0xbb, 0xbf];

/** UTF-8 of a text that a file or program gave: UTF-16 with a byte order mark is converted, a mark is dropped. */
export function decodeText(bytes: Uint8Array): Uint8Array {
  if (utf8Mark.every((byte, i) => bytes[i] === byte)) return bytes.subarray(3);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return recode(bytes.subarray(2), 'utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return recode(bytes.subarray(2), 'utf-16be');
  return bytes;
}

function recode(bytes: Uint8Array, encoding: string): Uint8Array {
  return Buffer.from(new TextDecoder(encoding).decode(bytes));
}

// What Go's strings.TrimSpace removes.
const blanks = String.raw`\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const outerBlanks = new RegExp(`^[${blanks}]+|[${blanks}]+$`, 'g');
const asciiBlanks = [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20];

/** Removes blanks at both ends, as Go's `strings.TrimSpace`. What is no UTF-8 keeps its bytes. */
export function trimText(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString('utf8');
  if (buffer.equals(Buffer.from(text, 'utf8'))) return Buffer.from(text.replace(outerBlanks, ''));
  let start = 0;
  let end = bytes.byteLength;
  while (start < end && asciiBlanks.includes(bytes[start] ?? 0)) start++;
  while (end > start && asciiBlanks.includes(bytes[end - 1] ?? 0)) end--;
  return bytes.subarray(start, end);
}
