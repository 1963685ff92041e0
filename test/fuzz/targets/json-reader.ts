import { isUtf8 } from 'node:buffer';
import { JsonReader, parseJsonDocument } from '../../../src/repository/json.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { mutateJson, spaced } from '../mutate-json.ts';
import { resticSeeds, textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** The JSON reader against the one of the language, which is laxer in numbers and depth and stricter in nothing. */
export const jsonReaderTarget: FuzzTarget = {
  name: 'json-reader',
  runsInCi: 400,
  seeds: () => [
    ...resticSeeds(/\.json$/),
    ...textSeeds(
      '{"a":[1,-2,3.5,1e3,true,false,null,"x"],"b":{"c":{"d":[]}},"e":"\\u00e9\\ud83d\\ude00\\n"}',
      '[18446744073709551615,9007199254740993,-0,0.0001]',
      ' {"__proto__":{"polluted":1},"constructor":2,"":3} ',
    ),
  ],
  mutate: mutateJson,
  run: (input) => {
    const parsed = answerOf(() => parseJsonDocument(input), 'JSON_INVALID');
    const skipped = answerOf(() => skipAll(input), 'JSON_INVALID');
    if (parsed.isGiven) must(skipped.isGiven, 'what can be read can be skipped');
    const apart = answerOf(() => parseJsonDocument(spaced(input)), 'JSON_INVALID');
    if (parsed.isGiven) mustEqual(apart, parsed, 'spaces do not matter');
    must(({} as { polluted?: unknown }).polluted === undefined, 'no prototype is changed');
    const text = Buffer.from(input).toString('utf8');
    const reference = tryParse(text);
    if (parsed.isGiven) must(reference !== undefined, 'what is no JSON is refused');
    else if (skipped.isGiven) must(reference !== undefined, 'what is no JSON is not skipped');
    else if (reference) must(mayRefuse(text), 'what is JSON is accepted');
    if (!parsed.isGiven || !reference || !isUtf8(input) || /\\u[dD][89a-fA-F]/.test(text)) return;
    mustEqual(plainOf(parsed.value), plainOf(reference.value), 'the value');
  },
};

function skipAll(input: Uint8Array): void {
  const reader = new JsonReader(input);
  reader.skipValue();
  reader.end();
}

function tryParse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** Reasons to refuse that a text gives: depth. Numbers out of range can be skipped. */
function mayRefuse(text: string): boolean {
  return (text.match(/[[{]/g) ?? []).length > 64;
}

/** A value with plain numbers and no maps, for comparison; keys are marked so that none has a meaning. */
function plainOf(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value) + 0;
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== 'object' || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return entries
    .map(([key, field]) => [`key ${String(key)}`, plainOf(field)])
    .toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}
