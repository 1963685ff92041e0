import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { systemRandom } from '../base/random.ts';
import { listKeys } from '../repository/keys.ts';
import { createRepository, openRepository, type Repository } from '../repository/repository.ts';
import { fault } from '../storage/fault.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import {
  createRecoveryKit,
  discardKit,
  generatePassword,
  isTypedBack,
  type RecoveryKit,
  recoveryKitHtml,
  recoveryKitText,
  shellQuote,
} from './recovery-kit.ts';

const zeros = { fill: <T extends Uint8Array>(target: T): T => target };

test('a password has 150 random bits in groups that can be copied by hand', () => {
  const passwords = Array.from({ length: 20 }, () => generatePassword(systemRandom));
  for (const password of passwords)
    expect(password).toMatch(/^([a-km-np-z2-9]{5}-){5}[a-km-np-z2-9]{5}$/);
  expect(new Set(passwords).size).toBe(20);
  expect(generatePassword(zeros)).toBe('aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-aaaaa');
});

test('groups are typed back however they are parted', () => {
  const password = 'aaaaa-bbbbb-ccccc';
  for (const typed of ['aaaaaccccc', 'aaaaa ccccc', 'AAAAA-ccccc ', '\taaa aacc-ccc']) {
    expect(isTypedBack(password, [1, 3], typed)).toBe(true);
  }
  for (const typed of ['', 'aaaaa', 'cccccaaaaa', 'aaaaa bbbbb ccccc', 'aaaaacccc1']) {
    expect(isTypedBack(password, [1, 3], typed)).toBe(false);
  }
  expect(isTypedBack(password, [9], '')).toBe(false);
});

const made: RecoveryKit = {
  location: "/srv/anna's/repository",
  repositoryId: 'ab'.repeat(32),
  password: 'abcde-fghij',
  source: '/home/anna',
  date: '2026-01-31',
  program: '/opt/holdfast/bin/holdfast',
  key: { id: 'cd'.repeat(32), json: '{"kdf":"scrypt<&>"}' },
  config: 'YWJj'.repeat(60),
};

test('a kit has place, password and the commands of both programs', () => {
  const text = recoveryKitText(made);
  for (const part of [
    "Repository    /srv/anna's/repository\n",
    'Password      abcde-fghij\n',
    'Backed up     /home/anna\n',
    `  /opt/holdfast/bin/holdfast -r '/srv/anna'\\''s/repository' restore latest --target FOLDER\n`,
    `  restic -r '/srv/anna'\\''s/repository' restore latest --target FOLDER\n`,
    `\n${'cd'.repeat(32)} and holds`,
  ]) {
    expect(text).toContain(part);
  }
  expect(text.replaceAll('\n  ', '')).toContain('YWJj'.repeat(60));
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
  expect(shellQuote('/plain/path')).toBe('/plain/path');
  const { key: _, config: __, source: ___, ...short } = made;
  expect(recoveryKitText(short)).not.toMatch(/is lost|Backed up/);
});

test('as HTML it says the same, loads nothing and takes no text for markup', () => {
  const html = recoveryKitHtml({ ...made, location: '/srv/<script>alert(1)</script>&"' });
  expect(html).not.toContain('<script');
  expect(html).toContain('/srv/&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;</td>');
  expect(html).toContain('<td class="password">abcde-fghij</td>');
  expect(html).toContain('{&quot;kdf&quot;:&quot;scrypt&lt;&amp;&gt;&quot;}');
  expect(html).not.toMatch(/(?:src|href)=|@import|url\(/);
});

async function makeRepository(): Promise<{ backend: MemoryBackend; repository: Repository }> {
  const backend = new MemoryBackend();
  const who = { hostname: 'host', username: 'user', password: Buffer.from('x') };
  const scrypt = { N: 1024, r: 8, p: 1 };
  return {
    backend,
    repository: await createRepository(backend, { environment, ...who, scrypt }),
  };
}

describe('the key of a kit', () => {
  const words = { hostname: 'host', program: 'holdfast' };

  test('opens the repository, and is told apart in the list', async () => {
    const { backend, repository } = await makeRepository();
    const kit = await createRecoveryKit(repository, words, { environment });
    const password = Buffer.from(kit.password);
    const opened = await openRepository(backend, { environment, password });
    expect(opened.keyId).toBe(kit.key.id);
    const { keys } = await listKeys(opened);
    expect(keys.map(({ username }) => username).toSorted()).toEqual(['recovery-kit', 'user']);
    await discardKit(repository, kit);
    await expect(openRepository(backend, { environment, password })).rejects.toMatchObject({
      code: 'PASSWORD_WRONG',
    });
  });

  test('and the kit alone bring back a repository that lost both small files', async () => {
    const { backend, repository } = await makeRepository();
    const kit = await createRecoveryKit(repository, words, { environment });
    const text = recoveryKitText(kit).replaceAll('\n  ', '');
    expect(text).toContain(kit.key.json);
    expect(createHash('sha256').update(kit.key.json).digest('hex')).toBe(kit.key.id);
    for await (const { name } of backend.list('key')) await backend.remove({ type: 'key', name });
    await backend.remove({ type: 'config', name: '' });
    await backend.put({ type: 'key', name: kit.key.id }, [Buffer.from(kit.key.json)]);
    const config = Buffer.from(kit.config ?? '', 'base64');
    await backend.put({ type: 'config', name: '' }, [config]);
    const password = Buffer.from(kit.password);
    const opened = await openRepository(backend, { environment, password });
    expect(opened.config).toEqual(repository.config);
  });

  test('is gone again if the kit cannot be made', async () => {
    const { backend, repository } = await makeRepository();
    const fails = { kind: 'error', code: 'BACKEND_READ_FAILED' } as const;
    const broken = fault(backend, [{ operation: 'get', type: 'config', count: 9, fault: fails }]);
    const holder = Object.create(repository, { backend: { value: broken } }) as Repository;
    await expect(createRecoveryKit(holder, words, { environment })).rejects.toThrow(/./);
    expect((await listKeys(repository)).keys).toHaveLength(1);
  });
});
