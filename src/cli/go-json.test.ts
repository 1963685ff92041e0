import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { goJson, indentJson, RawJson } from './go-json.ts';

describe('goJson', () => {
  test('writes as Go does', () => {
    const value = {
      text: 'a<b>&"\\\n\u0001\u2028é',
      none: undefined,
      list: [1, null, true, 2n ** 60n],
      raw: new RawJson('{"x":1}'),
      float: 99.5,
    };
    expect(goJson(value)).toBe(
      String.raw`{"text":"a\u003cb\u003e\u0026\"\\\n\u0001\u2028é","list":[1,null,true,1152921504606846976],"raw":{"x":1},"float":99.5}`,
    );
  });

  test('can be read back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value).replaceAll('-0', '0'));
        expect(JSON.parse(goJson(plain as Parameters<typeof goJson>[0]))).toEqual(plain);
      }),
    );
  });
});

describe('indentJson', () => {
  test('keeps every token', () => {
    expect(indentJson('{"a":[1,{"b":"x,:{}\\""}],"c":{},"d":[],"e":12345678901234567890}')).toBe(
      [
        '{',
        '  "a": [',
        '    1,',
        '    {',
        '      "b": "x,:{}\\""',
        '    }',
        '  ],',
        '  "c": {},',
        '  "d": [],',
        '  "e": 12345678901234567890',
        '}',
      ].join('\n'),
    );
  });

  test('is what JSON.stringify does for what both can write', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, undefined, 2));
      }),
    );
  });
});
