import { constants } from 'node:os';

import { expect, test } from 'vitest';

import { HoldfastError } from '../../base/errors.ts';
import { translate } from './translate.ts';

function systemError(name: string, errno: number): Error {
  return Object.assign(new Error(name), { code: name, errno });
}

const call = { action: 'write', path: '/srv/repository/x' } as const;

test.each([
  ['ENOENT', 'FILE_NOT_FOUND'],
  ['EEXIST', 'FILE_EXISTS'],
  ['ENOSPC', 'STORAGE_FULL'],
  ['EACCES', 'PERMISSION_DENIED'],
  ['EPERM', 'PERMISSION_DENIED'],
  ['EROFS', 'READ_ONLY'],
  ['ENOTDIR', 'LOCATION_INVALID'],
  ['EMFILE', 'BACKEND_UNAVAILABLE'],
  ['EIO', 'BACKEND_WRITE_FAILED'],
  ['ESTALE', 'BACKEND_WRITE_FAILED'],
])('%s becomes %s', (name, code) => {
  const cause = systemError(name, -1);
  expect(translate(cause, call)).toMatchObject({ code, details: { path: call.path }, cause });
});

test('a full quota is a full storage', () => {
  const cause = systemError('Unknown system error -122', -constants.errno.EDQUOT);
  expect(translate(cause, call)).toMatchObject({ code: 'STORAGE_FULL' });
});

test('an unknown failure is one of reading or of writing', () => {
  const cause = systemError('EIO', -5);
  expect(translate(cause, { ...call, action: 'read' })).toMatchObject({
    code: 'BACKEND_READ_FAILED',
  });
});

test('errors of ours and defects pass: a defect is not tried again for 15 minutes', () => {
  for (const error of [new HoldfastError('FILE_EXISTS'), new TypeError('a defect')]) {
    expect(translate(error, call)).toBe(error);
  }
});
