import { expect, test } from 'vitest';

import { proxyFor } from './http-proxy.ts';

const proxies = { HTTPS_PROXY: 'https://u:p%40ss@secure:8443', http_proxy: 'plain:3128' };

test('takes the proxy of the scheme, of a variable in either case, with or without its own scheme', () => {
  expect(proxyFor(new URL('http://far.example/'), proxies)).toEqual({
    isEncrypted: false,
    host: 'plain',
    port: 3128,
  });
  expect(proxyFor(new URL('https://far.example/'), proxies)).toEqual({
    isEncrypted: true,
    host: 'secure',
    port: 8443,
    authorization: `Basic ${Buffer.from('u:p@ss').toString('base64')}`,
  });
  expect(proxyFor(new URL('https://far.example/'), {})).toBeUndefined();
});

test.each([
  ['https://localhost/', '', true],
  ['https://127.9.9.9/', '', true],
  ['https://[::1]/', '', true],
  ['https://far.example/', '*', true],
  ['https://far.example/', 'example', true],
  ['https://far.example/', ' other , far.example ', true],
  ['https://far.example/', '.example', true],
  ['https://far.example/', '*.example', true],
  ['https://far.example/', '.far.example', false],
  ['https://nofar.example/', 'far.example', false],
  ['https://far.example/', 'far.example:443', true],
  ['https://far.example/', 'far.example:8443', false],
  ['https://10.1.2.3/', '10.0.0.0/8', true],
  ['https://11.1.2.3/', '10.0.0.0/8', false],
  ['https://10.1.2.3/', '10.1.2.3', true],
  ['https://[fd00::5]/', 'fd00::/8', true],
  ['https://[fd00::5]:9/', '[fd00::5]:9', true],
  ['https://far.example/', '10.0.0.0/99,/,:', false],
])('%s with NO_PROXY=%j goes past the proxy: %s', (url, noProxy, isExempt) => {
  const proxy = proxyFor(new URL(url), { ...proxies, NO_PROXY: noProxy });
  expect(proxy === undefined).toBe(isExempt);
});

test.each(['socks5://u:secret@host:1080', 'http://', 'ht tp://secret@x'])(
  'refuses the proxy %j without showing it',
  (text) => {
    const find = (): unknown => proxyFor(new URL('https://far.example/'), { HTTPS_PROXY: text });
    expect(find).toThrow(/^the variable HTTPS_PROXY names no HTTP proxy$/);
  },
);
