import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { describeWith } from '../../../test/tools/peers.ts';
import { scratchFolder } from '../../../test/tools/scratch.ts';
import { makeKey } from '../../../test/tools/ssh-server.ts';
import { fingerprint, KnownHosts, keyTypeOf, knownHostsLine, knownName } from './known-hosts.ts';

const key = (type: string, seed: number): Buffer => {
  const blob = Buffer.alloc(4 + type.length + 36, seed);
  blob.writeUInt32BE(type.length);
  blob.write(type, 4);
  return blob;
};
const mine = key('ssh-ed25519', 1);
const other = key('ssh-ed25519', 2);
const text = (blob: Buffer): string => `${keyTypeOf(blob)} ${blob.toString('base64')}`;
const judge = (lines: string, names: readonly string[] = ['host'], blob = mine): string =>
  new KnownHosts([{ path: 'known', text: lines }]).judge(names, blob).kind;

describe('known hosts', () => {
  test.each([
    ['host', 'known'],
    ['a,host,b', 'known'],
    ['HOST', 'known'],
    ['h?st', 'known'],
    ['h*', 'known'],
    ['*,!host', 'unknown'],
    ['hos', 'unknown'],
    ['h.st', 'unknown'],
    ['[host]:22', 'unknown'],
  ])('the pattern %s makes a key %s', (hosts, verdict) => {
    expect(judge(`# comment\n\n${hosts} ${text(mine)} somebody@somewhere\n`)).toBe(verdict);
  });

  test('names a host with its port, and takes one without as second best', () => {
    expect([knownName('Host', 22), knownName('Host', 23)]).toEqual(['host', '[host]:23']);
    const names = [knownName('host', 23), knownName('host', 22)];
    expect(judge(`[host]:23 ${text(mine)}`, names)).toBe('known');
    expect(judge(`host ${text(mine)}`, names)).toBe('known');
    expect(judge(`host ${text(other)}`, names)).toBe('unknown');
    expect(judge(`[host]:23 ${text(other)}`, names)).toBe('changed');
  });

  test('tells a changed key from one of another type, and says where', () => {
    const ecdsa = key('ecdsa-sha2-nistp256', 3);
    const known = new KnownHosts([{ path: 'known', text: `x y z\nhost ${text(other)}` }]);
    expect(known.judge(['host'], mine)).toEqual({ kind: 'changed', place: 'known:2' });
    expect(known.judge(['host'], ecdsa)).toEqual({
      kind: 'unknown',
      otherTypes: ['ssh-ed25519'],
      authority: false,
    });
    expect(known.keyTypes(['host'])).toEqual(['ssh-ed25519']);
  });

  test('lets no line make a revoked key known, and takes no authority for a key', () => {
    expect(judge(`host ${text(mine)}\n@revoked * ${text(mine)}`)).toBe('revoked');
    const known = new KnownHosts([{ path: 'known', text: `@cert-authority host ${text(mine)}` }]);
    expect(known.judge(['host'], mine)).toMatchObject({ kind: 'unknown', authority: true });
  });

  test('writes lines that it reads, with the name hidden or not', () => {
    for (const salt of [undefined, new Uint8Array(20).fill(5)]) {
      const line = knownHostsLine('[host]:23', mine, salt);
      expect(line.includes('host')).toBe(salt === undefined);
      expect(judge(line, ['[host]:23'])).toBe('known');
      expect(judge(line, ['host'])).toBe('unknown');
    }
  });
});

const scratch = scratchFolder('known-hosts');

describeWith(['sshd'], 'files of OpenSSH', () => {
  let blob: Buffer;
  beforeAll(() => {
    makeKey(path.join(scratch.path, 'key'));
    const [, base64 = ''] = readFileSync(path.join(scratch.path, 'key.pub'), 'utf8').split(' ');
    blob = Buffer.from(base64, 'base64');
  });

  test('names are found that ssh-keygen has hashed', () => {
    const file = path.join(scratch.path, 'known');
    writeFileSync(file, `a.example,[b.example]:2022 ${text(blob)}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    const lines = readFileSync(file, 'utf8');
    expect(lines).toMatch(/^\|1\|/);
    expect(judge(lines, ['a.example'], blob)).toBe('known');
    expect(judge(lines, ['[b.example]:2022'], blob)).toBe('known');
    expect(judge(lines, ['c.example'], blob)).toBe('unknown');
  });

  test('a fingerprint is what ssh-keygen shows', () => {
    const shown = execFileSync('ssh-keygen', ['-l', '-f', path.join(scratch.path, 'key.pub')]);
    expect(shown.toString()).toContain(` ${fingerprint(blob)} `);
  });
});
