import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import { type Location, parseLocation, redactLocation, schemes } from './location.ts';

function messageOf(location: string): string {
  try {
    parseLocation(location);
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'LOCATION_INVALID') return error.message;
    throw error;
  }
  return expect.fail(`${location} was accepted`);
}

// What restic 0.19.1 does with the same texts was tried with its binary; the exceptions say so.
describe('parseLocation', () => {
  test.each([
    ['foo', 'foo'],
    [' ', ' '],
    ['..', '..'],
    ['/a:b', '/a:b'],
    ['../a:b', '../a:b'],
    ['..\\a:b', '..\\a:b'],
    ['\\a:b', '\\a:b'],
    ['C:/x', 'C:/x'],
    ['C:\\x', 'C:\\x'],
    ['./s3', './s3'],
    ['local:foo', 'foo'],
    ['local:a:b', 'a:b'],
    ['local:/a//b/../c', '/a//b/../c'],
  ])('takes %j as the local path %j', (location, path) => {
    expect(parseLocation(location)).toEqual({ scheme: 'local', path });
  });

  test.each(['./a:b', 'foo:bar', 'a/b:c', 'c:x', '~:x', 'x:', ':x', 'SFTP:h:p', 'file:///x'])(
    'refuses %j, which is no location and no path',
    (location) => {
      expect(messageOf(location)).toMatch(/is no repository location: unknown kind of storage$/);
    },
  );

  test.each(schemes)('refuses %j without a colon', (scheme) => {
    expect(messageOf(scheme)).toContain('lacks what comes after');
  });

  test.each<[string, Location]>([
    ['sftp:host:p', { scheme: 'sftp', host: 'host', path: 'p' }],
    ['sftp:host:', { scheme: 'sftp', host: 'host', path: '' }],
    ['sftp:user@host:/p/', { scheme: 'sftp', host: 'host', user: 'user', path: '/p' }],
    ['sftp:u@domain@host:p:q', { scheme: 'sftp', host: 'host', user: 'u@domain', path: 'p:q' }],
    ['sftp:host:a%20b//c/../d', { scheme: 'sftp', host: 'host', path: 'a%20b/d' }],
    ['sftp://host/p', { scheme: 'sftp', host: 'host', path: 'p' }],
    ['sftp://host/', { scheme: 'sftp', host: 'host', path: '' }],
    ['sftp://host//p', { scheme: 'sftp', host: 'host', path: '/p' }],
    ['sftp://host//~/p', { scheme: 'sftp', host: 'host', path: '/~/p' }],
    [
      'sftp://u@domain@host:2222/a%20b',
      { scheme: 'sftp', host: 'host', user: 'u@domain', port: 2222, path: 'a b' },
    ],
    ['sftp://[::1]:22/p', { scheme: 'sftp', host: '::1', port: 22, path: 'p' }],
    ['sftp://u:s@h/p', { scheme: 'sftp', host: 'h', user: 'u', password: 's', path: 'p' }],
  ])('takes %j apart', (location, expected) => {
    expect(parseLocation(location)).toEqual(expected);
  });

  test.each([
    'sftp:',
    'sftp:host',
    'sftp:/h/p',
    'sftp://',
    'sftp://host',
    'sftp://h:x/p',
    'sftp://h:99999/p',
    'sftp://h/a%zz',
    'sftp:host:~/p',
    'sftp:host:~p',
    'sftp://host/~/p',
    // restic gives these to ssh, which then fails:
    'sftp::p',
    'sftp:user@:p',
  ])('refuses %j', (location) => {
    expect(messageOf(location)).toMatch(/^(sftp: |the location holds a "%")/);
  });

  test.each([
    ['rest:http://h:8000', 'http://h:8000/'],
    ['rest:https://u:p@h/path/', 'https://u:p@h/path/'],
    ['rest:http+unix:///run/x.sock:/path', 'http+unix:///run/x.sock:/path/'],
    ['webdav:https://h/dav', 'https://h/dav/'],
  ])('takes %j as the URL %j', (location, url) => {
    expect(parseLocation(location)).toEqual({ scheme: location.split(':')[0], url });
  });

  test.each([
    'rest:',
    'rest:host',
    'rest:ftp://h/',
    'rest:http:h',
    'rest:http://',
    'rest:http://h:x/',
    'rest:https://user:pa/ss@host/',
    'webdav:http+unix:///x',
  ])('refuses %j, without telling a password', (location) => {
    expect(messageOf(location)).toMatch(/: the location is not \w+:https:\/\/USER:PASSWORD@/);
  });

  test.each<[string, Partial<Location>]>([
    ['s3:host/bucket', { endpoint: 'host', isEncrypted: true, bucket: 'bucket', prefix: '' }],
    ['s3://host/bucket/a/b/', { endpoint: 'host', bucket: 'bucket', prefix: 'a/b' }],
    ['s3:h/bucket//p/../q', { bucket: 'bucket', prefix: 'q' }],
    ['s3:http://h:9000/b', { endpoint: 'h:9000', isEncrypted: false, bucket: 'b' }],
    ['s3:https://h:1/b/', { endpoint: 'h:1', isEncrypted: true, bucket: 'b', prefix: '' }],
    ['azure:c:/', { container: 'c', prefix: '' }],
    ['azure:c:/p/q/', { container: 'c', prefix: 'p/q' }],
    ['gs:b:', { bucket: 'b', prefix: '' }],
    ['gs:b:p', { bucket: 'b', prefix: 'p' }],
    ['b2:bucket', { bucket: 'bucket', prefix: '' }],
    ['b2:bucket:/p', { bucket: 'bucket', prefix: 'p' }],
    ['swift:c:/', { container: 'c', prefix: '' }],
    ['swift:c:/p', { container: 'c', prefix: 'p' }],
    ['rclone:r', { remote: 'r' }],
    ['rclone:r:p', { remote: 'r:p' }],
  ])('takes %j apart', (location, expected) => {
    expect(parseLocation(location)).toMatchObject(expected);
  });

  test.each([
    's3:',
    's3:http://h',
    's3:http:/h/b',
    's3:https:///b',
    's3:/h/b',
    's3:https://u:p@h/b',
    'azure:c',
    'gs:b',
    'b2:',
    'b2:short',
    'b2:buc_ket',
    `b2:${'x'.repeat(51)}`,
    'swift:c',
    'swift:c:p',
    // restic finds these out from the server only:
    's3:host',
    's3:host/',
    'azure::/p',
    'gs::/p',
    'swift::/p',
    'rclone:',
    '',
    'local:',
    'a\0b',
  ])('refuses %j', (location) => {
    expect(messageOf(location)).not.toBe('');
  });

  test('says what to write for a REST server', () => {
    expect(() => parseLocation('https://user:secret@host/')).toThrow(
      expect.objectContaining({ hint: 'For a REST server write "rest:https:…".' }),
    );
  });

  test('takes or refuses any text, and tells no password', () => {
    fc.assert(
      fc.property(fc.constantFrom(...schemes, 'x'), fc.string(), (scheme, rest) => {
        const location = `${scheme}:${rest}`;
        try {
          parseLocation(location);
        } catch (error) {
          expect(error).toMatchObject({ code: 'LOCATION_INVALID' });
        }
      }),
    );
  });
});

describe('redactLocation', () => {
  test.each([
    ['rest:https://user:secret@host/', 'rest:https://user:***@host/'],
    ['rest:https://user:sec@ret@host:1/p@q', 'rest:https://user:***@host:1/p@q'],
    ['rest:https://user:sec/ret@host/', 'rest:https://user:***@host/'],
    ['rest:https://user:sec:ret@host/', 'rest:https://user:***@host/'],
    ['rest:https://:secret@host/', 'rest:https://:***@host/'],
    ['rest:https://user:sec@/ret@host/', 'rest:https://user:***@host/'],
    ['rest:https://user:secret@host', 'rest:https://user:***@host'],
    ['sftp://user:secret@host:22/p', 'sftp://user:***@host:22/p'],
    ['ftp://user:secret@host', 'ftp://user:***@host'],
    ['rest:user:secret@host/', 'rest:user:***@host/'],
    ['sftp:user:secret@host:/p', 'sftp:user:***@host:/p'],
    ['sftp:user:sec@ret@host:p@q/r@s', 'sftp:user:***@q/r@s'],
    ['rest:https:///user:secret@host/', 'rest:https:///user:***@host/'],
    ['rest:https://\\\\user:secret@host/', 'rest:https://\\\\user:***@host/'],
  ])('shows %j as %j', (location, shown) => {
    expect(redactLocation(location)).toBe(shown);
  });

  test.each([
    '',
    '/srv/backup@home',
    'sftp:user@host:path',
    'sftp:host:/path@x',
    'sftp://user@host:22/path',
    'rest:http://host:8000/a@b',
    'rest:http://host/a:b@c',
    's3:host/bucket/a:b@c',
    'rest:http+unix:///socket:/path/',
    'rest:http://[::1]:8000/a@b',
  ])('shows %j as it is', (location) => {
    expect(redactLocation(location)).toBe(location);
  });

  test('hides the password of every URL', () => {
    const login = fc.stringMatching(/^[a-z]{1,5}$/);
    // `a@b/c` as a password without escapes cannot be told from a host `b` with a path `/c`.
    const password = fc
      .string({ minLength: 1, unit: fc.constantFrom(...Array.from('abz09:@/%?#[]\\ $')) })
      .map((text) => `SECRET${text}SECRET`)
      .filter((text) => !/@[\w.:[\]%-]+\//.test(text));
    fc.assert(
      fc.property(login, password, (user, secret) => {
        const shown = redactLocation(`rest:https://${user}:${secret}@host/path/`);
        expect(shown).toBe(`rest:https://${user}:***@host/path/`);
      }),
      { numRuns: 2000 },
    );
  });
});

// The URL parser would find a host and a password in these; redacting looks for them elsewhere.
test.each([
  '///user:secret@host/',
  '//\\user:secret@host/',
  ':\\user:secret@host',
  '//us\ner:secret@host/',
  '//\r/:secret@host',
])('rest:https:%j is no location', (rest) => {
  for (const scheme of ['rest', 'webdav']) {
    expect(() => parseLocation(`${scheme}:https:${rest}`)).toThrow(
      expect.objectContaining({ code: 'LOCATION_INVALID' }),
    );
  }
});
