/** Control characters, DEL and C1 among them, and the marks that turn the direction of the text after them. */
const dangerous = /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;
const lineBreaking = /[\t\n\u2028\u2029]/g;

/**
 * Text for a terminal or a log: what would drive a terminal, or show a text as another, is escaped as `\x1b` or `\u202e`.
 * Line ends and tabs stay.
 */
export function harmlessText(text: string): string {
  return text.replace(dangerous, escape);
}

/** As `harmlessText`, in one line: what comes from outside must not forge lines. Line ends and tabs become blanks. */
export function harmlessLine(text: string): string {
  return harmlessText(text.replace(lineBreaking, ' '));
}

/** JSON for a terminal: the same document, with what `harmlessText` escapes as `\u001b`. */
export function harmlessJson(json: string): string {
  return json.replace(dangerous, (character) => `\\u${hex(character, 4)}`);
}

function escape(character: string): string {
  return character < '\u0100' ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`;
}

function hex(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, '0');
}
