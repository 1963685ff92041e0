import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { JsonWriter } from './json.ts';
import { parseDocument, writeUnknownFields } from './repository-document.ts';

const parse = (json: string) => parseDocument(utf8(json), 10_000);
const invalid = expect.objectContaining({ code: 'JSON_INVALID' });

test('matches keys as Go does: without case, the last one that is not null wins', () => {
  const fields = parse('{"Name":"a","NAME":"b","name":null,"ſize":3}');
  expect(fields.text('name')).toBe('b');
  expect(fields.integer('size')).toBe(3);
  expect(fields.text('other')).toBeUndefined();
});

test('checks the kind of each value', () => {
  const fields = parse(
    '{"text":1,"number":"1","float":1.5,"huge":18446744073709551615,"low":-1,"list":{},"id":"ab","base":"a","yes":"true","time":"1"}',
  );
  expect(() => fields.text('text')).toThrow(invalid);
  expect(() => fields.integer('number')).toThrow(invalid);
  expect(() => fields.integer('float')).toThrow(invalid);
  expect(() => fields.integer('huge')).toThrow(invalid);
  expect(() => fields.integer('low')).toThrow(invalid);
  expect(() => fields.texts('list')).toThrow(invalid);
  expect(() => fields.id('id')).toThrow(invalid);
  expect(() => fields.bytes('base')).toThrow(invalid);
  expect(() => fields.boolean('yes')).toThrow(invalid);
  expect(() => fields.object('text')).toThrow(invalid);
  expect(() => fields.time('time')).toThrow();
  expect(() => fields.required('gone', fields.text('gone'))).toThrow(invalid);
});

test('reads values of the right kind', () => {
  const id = 'AB'.repeat(32);
  const fields = parse(
    `{"list":["a",null,"\\u00e9"],"id":"${id}","base":"AAEC","yes":true,"in":{"x":"y"}}`,
  );
  expect(fields.texts('list')).toEqual(['a', '', 'é']);
  expect(fields.id('id')).toBe('ab'.repeat(32));
  expect(fields.bytes('base')).toEqual(Uint8Array.of(0, 1, 2));
  expect(fields.boolean('yes')).toBe(true);
  expect(fields.object('in')?.text('x')).toBe('y');
});

test('keeps unknown fields as they were written', () => {
  const fields = parse('{"a":1,"__proto__":{"x": 1e400},"A":2,"é":[ ]}');
  const unknown = fields.unknown(['a']);
  expect(unknown.map((field) => field.key)).toEqual(['__proto__', 'é']);
  const writer = new JsonWriter();
  writeUnknownFields(writer, unknown);
  expect(Buffer.from(writer.finish()).toString()).toBe(',"__proto__":{"x": 1e400},"é":[ ]');
  expect(Object.prototype).not.toHaveProperty('x');
});

test('bounds size, depth and number of fields, and takes one object only', () => {
  expect(() => parse(`{"a":"${'x'.repeat(10_000)}"}`)).toThrow(invalid);
  expect(() => parse(`{"a":${'['.repeat(5000)}${']'.repeat(4000)}}`)).toThrow(invalid);
  expect(() => parse(`{${'"a":1,'.repeat(1001)}"b":2}`)).toThrow(invalid);
  for (const json of ['', '[]', '1', 'null', '{}{}', '{', '{"a":1,}', '\ufeff{}']) {
    expect(() => parse(json), json).toThrow(invalid);
  }
});
