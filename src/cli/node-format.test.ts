import { expect, test } from 'vitest';
import { goMode } from '../repository/tree.ts';
import { formatMode } from './node-format.ts';

test.each([
  [goMode('dir', 0o755), 'drwxr-xr-x'],
  [goMode('dir', 0o2750), 'dgrwxr-x---'],
  [goMode('dir', 0o1777), 'dtrwxrwxrwx'],
  [goMode('file', 0o644), '-rw-r--r--'],
  [goMode('file', 0), '----------'],
  [goMode('file', 0o4755), 'urwxr-xr-x'],
  [goMode('symlink', 0o777), 'Lrwxrwxrwx'],
  [goMode('dev', 0o644), 'Drw-r--r--'],
  [goMode('chardev', 0o644), 'Dcrw-r--r--'],
  [goMode('fifo', 0o644), 'prw-r--r--'],
  [goMode('socket', 0o755), 'Srwxr-xr-x'],
  [goMode('irregular', 0o600), '?rw-------'],
])('%d is %s', (mode, text) => expect(formatMode(mode)).toBe(text));
