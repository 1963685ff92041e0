import { expect, test } from 'vitest';
import { Variables } from './variables.ts';

test('HOLDFAST wins over RESTIC, and empty is not set', () => {
  const variables = new Variables({
    RESTIC_HOST: 'restic',
    HOLDFAST_HOST: 'holdfast',
    RESTIC_KEY_HINT: 'hint',
    HOLDFAST_KEY_HINT: '',
    HOME: '/home/anna',
  });
  expect(variables.find('HOST')).toEqual({ name: 'HOLDFAST_HOST', value: 'holdfast' });
  expect(variables.get('KEY_HINT')).toBe('hint');
  expect(variables.get('CACERT')).toBeUndefined();
  expect(variables.plain('HOME')).toBe('/home/anna');
});

test('a password of HOLDFAST replaces every way of RESTIC to give one', () => {
  const restic = { RESTIC_PASSWORD_FILE: '/file', RESTIC_PASSWORD: 'old' };
  expect(new Variables(restic).get('PASSWORD_FILE')).toBe('/file');
  const both = new Variables({ ...restic, HOLDFAST_PASSWORD: 'new' });
  expect(both.get('PASSWORD_FILE')).toBeUndefined();
  expect(both.get('PASSWORD')).toBe('new');
  const location = new Variables({ RESTIC_REPOSITORY: '/a', HOLDFAST_REPOSITORY_FILE: '/b' });
  expect(location.get('REPOSITORY')).toBeUndefined();
});
