import { expect, test } from 'vitest';

import { codeOf } from '../conformance.ts';
import { type AzureSettings, readSettings } from './settings.ts';

const account = { AZURE_ACCOUNT_NAME: 'someone', AZURE_ACCOUNT_KEY: 'c2VjcmV0' };

function read(variables: Record<string, string>, tier?: string): AzureSettings {
  const extended = new Map(tier === undefined ? [] : [['access-tier', tier]]);
  return readSettings({ ...account, ...variables }, extended);
}

test.each([
  ['', 'https://someone.blob.core.windows.net'],
  ['core.chinacloudapi.cn', 'https://someone.blob.core.chinacloudapi.cn'],
  ['storage.example:8443', 'https://someone.blob.storage.example:8443'],
  ['127.0.0.1:10000', 'http://127.0.0.1:10000/someone'],
  ['https://127.0.0.1:10000/', 'https://127.0.0.1:10000/someone'],
  ['localhost:10000', 'http://localhost:10000/someone'],
  ['[::1]:10000', 'http://[::1]:10000/someone'],
])('takes the suffix %j for %s', (suffix, serviceUrl) => {
  expect(read({ AZURE_ENDPOINT_SUFFIX: suffix }).serviceUrl).toBe(serviceUrl);
});

test('takes the key before the signature, and the signature without its question mark', () => {
  expect(read({ AZURE_ACCOUNT_SAS: '?sig=x' }).credentials.kind).toBe('key');
  const signed = read({ AZURE_ACCOUNT_KEY: '', AZURE_ACCOUNT_SAS: '?sv=1&sig=a%2Bb%3D' });
  expect(signed.credentials).toEqual({ kind: 'signature', signature: 'sv=1&sig=a%2Bb%3D' });
});

test.each([
  ['hot', 'Hot'],
  ['Cold', 'Cold'],
  ['', undefined],
  [undefined, undefined],
])('takes the tier %j for %j', (text, tier) => {
  expect(read({}, text).accessTier).toBe(tier);
});

test.each([
  [{ AZURE_ACCOUNT_NAME: '' }, 'USAGE'],
  [{ AZURE_ACCOUNT_NAME: 'evil.example/' }, 'USAGE'],
  [{ AZURE_ACCOUNT_KEY: 'no base64!' }, 'USAGE'],
  [{ AZURE_ACCOUNT_KEY: '' }, 'USAGE'],
  [{ AZURE_ACCOUNT_KEY: '', AZURE_ACCOUNT_SAS: 'secret' }, 'USAGE'],
  [{ AZURE_ACCOUNT_KEY: '', AZURE_ACCOUNT_SAS: 'sig=a b' }, 'USAGE'],
  [{ AZURE_ACCOUNT_KEY: '', AZURE_FORCE_CLI_CREDENTIAL: 'true' }, 'UNSUPPORTED'],
  [{ AZURE_ENDPOINT_SUFFIX: 'http://evil.example' }, 'USAGE'],
  [{ AZURE_ENDPOINT_SUFFIX: 'evil.example/path?' }, 'USAGE'],
])('refuses %j with %s', async (variables, code) => {
  const refused = Promise.resolve().then(() => read(variables));
  expect(await codeOf(refused)).toBe(code);
  const line = await refused.catch(String);
  for (const value of Object.values(variables)) {
    if (value.length > 4) expect(line).not.toContain(value);
  }
});

test('refuses a tier that cannot be read back at once', async () => {
  expect(await codeOf(Promise.resolve().then(() => read({}, 'Archive')))).toBe('USAGE');
});
