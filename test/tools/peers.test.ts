import { afterEach, describe, expect, test, vi } from 'vitest';

import { findPeer, isRequired, missingPeers } from './peers.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('peers', () => {
  test('are found on the PATH only', () => {
    vi.stubEnv('PATH', '/nowhere');
    expect(findPeer('restic')).toBeUndefined();
    expect(missingPeers('restic', 'rsync')).toEqual([
      'restic (install restic 0.19 or newer)',
      'rsync (install the Debian package rsync)',
    ]);
  });

  test.each([
    [undefined, false],
    ['', false],
    ['rsync', false],
    ['rsync restic', true],
    ['rsync,restic', true],
    ['all', true],
  ])('are required by HOLDFAST_TEST_REQUIRE=%s: %s', (value, expected) => {
    vi.stubEnv('HOLDFAST_TEST_REQUIRE', value);
    expect(isRequired('restic')).toBe(expected);
  });
});
