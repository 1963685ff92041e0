import { describe, expect, test } from 'vitest';

import { MultistatusReader, type Resource } from './multistatus.ts';

function read(text: string, stepBytes = 1 << 20): Resource[] {
  const found: Resource[] = [];
  const reader = new MultistatusReader('pack files', (resource) => found.push(resource));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.byteLength; at += stepBytes) {
    reader.push(bytes.subarray(at, at + stepBytes));
  }
  reader.end();
  return found;
}

const listing = `<?xml version="1.0"?>
<!-- a listing -->
<d:multistatus xmlns:d='DAV:' xmlns:o="urn:other" title="a > b">
  <d:response><d:href>/dav/data/</d:href>
    <d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop>
      <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
  <d:response><d:href>http://host/dav/data/a%20b&amp;&#x63;</d:href>
    <d:propstat><d:prop><o:getcontentlength>7</o:getcontentlength></d:prop>
      <d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
    <d:propstat><d:prop><d:getcontentlength>12</d:getcontentlength>
      <d:getlastmodified><![CDATA[Tue, 03 Mar 2026 10:00:00 GMT]]></d:getlastmodified></d:prop>
      <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
</d:multistatus>
`;
const expected = [
  { name: 'data', isFolder: true, sizeBytes: undefined, modifiedMs: undefined },
  { name: 'a b&c', isFolder: false, sizeBytes: 12, modifiedMs: Date.UTC(2026, 2, 3, 10) },
];

test.each([1, 2, 7, 1 << 20])('reads a listing in pieces of %d bytes', (stepBytes) => {
  expect(read(listing, stepBytes)).toEqual(expected);
});

test('knows the namespace, whatever its prefix', () => {
  const other = listing.replaceAll('d:', '').replace("xmlns:d='DAV:'", "xmlns='DAV:'");
  expect(
    read(other.replace("xmlns:'DAV:'", "xmlns='DAV:'").replace("xmlns:='", "xmlns='")),
  ).toEqual(expected);
});

describe('refuses', () => {
  test.each([
    ['', /cut off/],
    [listing.slice(0, -4), /cut off/],
    ['<html><body>Log in</body></html>', /another document/],
    ['<a><b></a></b>', /do not fit/],
    ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', /definitions of its own/],
    ['<a>&b;</a>', /reference to nothing/],
    ['<a>&#x110000;</a>', /reference to nothing/],
    ['<a/><b/>', /something follows/],
    ['plain text<a/>', /no XML/],
    ['<a>'.repeat(100), /too deep/],
    [`<a ${'x'.repeat(200_000)}`, /too long/],
  ])('%.40j', (text, why) => {
    expect(() => read(text)).toThrow(why);
  });

  test('bytes that are not UTF-8, and text without end', () => {
    const reader = new MultistatusReader('x', () => {});
    expect(() => reader.push(Buffer.of(0x3c, 0xff))).toThrow(/not UTF-8/);
    const endless = new MultistatusReader('x', () => {});
    const pour = (): void => {
      endless.push(Buffer.from('<multistatus xmlns="DAV:"><response><href>'));
      for (let i = 0; i < 1000; i++) endless.push(Buffer.from(`${'a'.repeat(1000)}<!-- -->`));
    };
    expect(pour).toThrow(/does not end/);
  });
});
