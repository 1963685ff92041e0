import { parseEstate, type ParsedEstate } from '../contracts/estate-file.ts';
import { meaningProblems } from './meaning.ts';

/** Reads an estate file, and holds it against what can be true. @param nowMs milliseconds since 1970 */
export function readEstate(text: string, nowMs: number): ParsedEstate {
  return parseEstate(text, (estate) => meaningProblems(estate, nowMs));
}
