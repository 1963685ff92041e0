import { HoldfastError } from './errors.ts';

/**
 * Splits a command line into words as a shell does, without running one: blanks part words, single and double quotes
 * and backslashes protect. Nothing is expanded.
 *
 * @throws USAGE if a quote is not closed or there is no word
 */
export function splitShellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    if (quote !== '' && c === quote) quote = '';
    else if (quote !== "'" && c === '\\' && i + 1 < text.length) {
      const next = text[++i] ?? '';
      const isProtected = quote === '' || next === '"' || next === '\\';
      word = (word ?? '') + (isProtected ? next : `\\${next}`);
    } else if (quote === '' && (c === '"' || c === "'")) {
      quote = c;
      word ??= '';
    } else if (quote === '' && /\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + c;
  }
  if (quote !== '')
    throw new HoldfastError('USAGE', { message: 'a quote in the command is not closed' });
  if (word !== undefined) words.push(word);
  if (words.length === 0) throw new HoldfastError('USAGE', { message: 'the command is empty' });
  return words;
}
