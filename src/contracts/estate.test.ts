import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Estate, estateJsonSchema } from './estate.ts';
import { formatEstate, parseEstate } from './estate-file.ts';
import { lengthMs, parseLengthMs } from './durations.ts';
import { sizeBytes } from './texts.ts';

const sound = `version: 1
repositories:
  nas: { location: /srv/backup, password-file: /etc/pass }
policies:
  silver: { repository: nas, backup: { daily: ["02:30"] } }
sources:
  documents: { kind: files, paths: [/home], policy: silver }
`;

/** What is wrong with a text, a line each. */
function wrong(text: string): string[] {
  const parsed = parseEstate(text);
  if ('estate' in parsed) return [];
  return parsed.problems.map(
    ({ line, column, field, message }) => `${line}:${column} ${field}: ${message}`,
  );
}

/** The sound estate with one part replaced. */
function wrongWith(part: string, other: string): string[] {
  expect(sound).toContain(part);
  return wrong(sound.replace(part, other));
}

test('an estate that is right is taken, and written it is read back as it was', () => {
  const parsed = parseEstate(sound);
  if (!('estate' in parsed)) throw new Error('it is right');
  expect(parseEstate(formatEstate(parsed.estate))).toEqual(parsed);
});

test('the published JSON schema is that of the program', () => {
  const published = JSON.parse(readFileSync('docs/estate.schema.json', 'utf8'));
  expect(published, 'node src/cli/main.ts estate schema > docs/estate.schema.json').toEqual(
    JSON.parse(JSON.stringify(estateJsonSchema())),
  );
});

test('every field is described in the JSON schema, and every text, number and list has bounds', () => {
  const bare: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const fields = node as Record<string, unknown>;
    const kind = fields['type'];
    const isOpen =
      (kind === 'string' &&
        !['maxLength', 'pattern', 'const', 'enum'].some((bound) => bound in fields)) ||
      (kind === 'array' && !('maxItems' in fields)) ||
      (['number', 'integer'].includes(String(kind)) && !('maximum' in fields || 'const' in fields));
    if (isOpen) bare.push(`${path}: no bounds`);
    for (const [name, value] of Object.entries(fields)) {
      if (name === 'properties') {
        for (const [field, schema] of Object.entries(value as object)) {
          if (!('description' in schema)) bare.push(`${path}.${field}: not described`);
          visit(schema, `${path}.${field}`);
        }
      } else if (Array.isArray(value)) value.forEach((one) => visit(one, path));
      else visit(value, path);
    }
  };
  visit(estateJsonSchema(), '');
  expect(bare).toEqual([]);
});

describe('what is wrong is told in one line, with its place', () => {
  test('in form', () => {
    expect(wrong('version: 1\nsources: [1\n')).toMatchInlineSnapshot(`
      [
        "3:1 : Flow sequence in block collection must be sufficiently indented and end with a ]",
      ]
    `);
    expect(wrong('a: 1\na: 2\n')).toMatchInlineSnapshot(`
      [
        "2:1 : Map keys must be unique",
      ]
    `);
    expect(wrong('')).toMatchInlineSnapshot(`
      [
        "1:1 : must be a group of fields",
      ]
    `);
    expect(wrong('a: &a [*b]')).toMatchInlineSnapshot(`
      [
        "1:1 : the file refers by "*" to a part that is not there",
      ]
    `);
  });

  test('in fields', () => {
    expect(wrongWith('version: 1', 'version: 2')).toMatchInlineSnapshot(`
      [
        "1:1 version: must be 1",
      ]
    `);
    expect(wrongWith('daily: ["02:30"]', 'daily: ["2:30"]')).toMatchInlineSnapshot(`
      [
        "5:48 policies.silver.backup.daily.0: must be a time of day such as "02:30", in quotes",
      ]
    `);
    expect(wrongWith('daily: ["02:30"]', 'daily: 5')).toMatchInlineSnapshot(`
      [
        "5:40 policies.silver.backup.daily: must be a list, such as [ … ]",
      ]
    `);
    expect(wrongWith('daily: ["02:30"]', 'every: 1h, cron: "* * * * *"')).toMatchInlineSnapshot(`
      [
        "5:30 policies.silver.backup: needs exactly one of every, daily, weekly, monthly, yearly, cron",
      ]
    `);
    expect(wrongWith('daily: ["02:30"]', 'every: 1m')).toMatchInlineSnapshot(`
      [
        "5:40 policies.silver.backup.every: must be between 5m and 366d",
      ]
    `);
    expect(wrongWith('paths: [/home]', 'paths: [home]')).toMatchInlineSnapshot(`
      [
        "7:37 sources.documents.paths.0: must be an absolute path, such as /home/anna",
      ]
    `);
    expect(wrongWith('paths: [/home]', 'path: [/home]')).toMatchInlineSnapshot(`
      [
        "7:3 sources.documents.paths: is missing",
        "7:29 sources.documents.path: there is no field "path" here",
      ]
    `);
    expect(wrongWith('kind: files', 'kind: file')).toMatchInlineSnapshot(`
      [
        "7:16 sources.documents.kind: must be a kind that there is: files or stdin-command",
      ]
    `);
    expect(wrongWith('  nas:', '  "n/a":')).toMatchInlineSnapshot(`
      [
        "3:3 repositories.n/a: the name must be a name of at most 63 letters, digits, dots, dashes and underscores that begins with a letter or digit",
      ]
    `);
    expect(
      wrongWith('repository: nas,', 'repository: nas, verify: { within: 30 },'),
    ).toMatchInlineSnapshot(`
      [
        "5:40 policies.silver.verify.within: must be a text (put it in quotes)",
      ]
    `);
    expect(
      wrongWith('repository: nas,', 'repository: nas, time-zone: Europe/Berlni,'),
    ).toMatchInlineSnapshot(`
      [
        "5:30 policies.silver.time-zone: must be a time zone such as Europe/Berlin",
      ]
    `);
    expect(
      wrongWith('repository: nas,', 'repository: nas, retention: { minimum: 3 },'),
    ).toMatchInlineSnapshot(`
      [
        "5:30 policies.silver.retention: needs at least one rule that keeps something, such as keep-daily",
      ]
    `);
  });

  test('in names that lead nowhere', () => {
    expect(wrongWith('repository: nas', 'repository: nsa')).toMatchInlineSnapshot(`
      [
        "5:13 policies.silver.repository: there is no repository "nsa"",
      ]
    `);
    expect(wrongWith('policy: silver', 'policy: gold')).toMatchInlineSnapshot(`
      [
        "7:45 sources.documents.policy: there is no policy "gold"",
      ]
    `);
    expect(
      wrongWith('repository: nas', 'repository: nas, copies: [{ repository: nas }]'),
    ).toMatchInlineSnapshot(`
      [
        "5:41 policies.silver.copies.0.repository: the repository "nas" is there twice",
      ]
    `);
    expect(
      wrongWith('policy: silver', 'policy: silver, hooks: { before: [stop] }'),
    ).toMatchInlineSnapshot(`
      [
        "7:79 sources.documents.hooks.before.0: there is no hook "stop"",
      ]
    `);
  });

  test('in secrets that stand in the open', () => {
    expect(
      wrongWith('location: /srv/backup', 'location: "rest:https://anna:geheim@host/"'),
    ).toMatchInlineSnapshot(`
      [
        "3:10 repositories.nas.location: must not hold a password: give it by "environment", such as RESTIC_REST_PASSWORD",
      ]
    `);
    expect(wrongWith('password-file: /etc/pass', 'password: geheim')).toMatchInlineSnapshot(`
      [
        "3:3 repositories.nas: needs exactly one of password-file, password-command, password-variable, insecure-no-password",
        "3:33 repositories.nas.password: there is no field "password" here",
      ]
    `);
    expect(
      wrongWith('password-file: /etc/pass', 'password-file: /a, password-variable: B'),
    ).toMatchInlineSnapshot(`
      [
        "3:3 repositories.nas: needs exactly one of password-file, password-command, password-variable, insecure-no-password",
      ]
    `);
  });

  test('of what is hostile, at once', () => {
    const bomb = `a: &a [x, x]\n${Array.from({ length: 26 }, (_, i) => {
      const [name, before] = [`n${i}`, i === 0 ? 'a' : `n${i - 1}`];
      return `${name}: &${name} [*${before}, *${before}, *${before}]`;
    }).join('\n')}`;
    expect(wrong(bomb)).toEqual(['1:1 : the file refers to parts of itself too often']);
    expect(wrong('x'.repeat(4 * 1024 * 1024 + 1))).toEqual(['1:1 : the file is larger than 4 MiB']);
    expect(wrong(`${sound}__proto__: { x: 1 }\n`).length).toBe(1);
    expect(wrong(`${sound}constructor: { x: 1 }\n`).length).toBe(1);
    const long = `${'mon,'.repeat(40)}mon 25:00-26:00`;
    const text = sound.replace('repository: nas,', `repository: nas, windows: ["${long}"],`);
    expect(wrong(text).length).toBe(1);
  });
});

test('lengths of time and sizes', () => {
  expect(['90m', '1d12h', '2w', '0s'].map(parseLengthMs)).toEqual([
    5_400_000, 129_600_000, 1_209_600_000, 0,
  ]);
  expect(['', '5', 'h', '1.5h', '-1h', '1y', '999999w'].map(parseLengthMs)).toEqual(
    Array.from({ length: 7 }, () => undefined),
  );
  expect(() => lengthMs('x')).toThrow(/no length of time/);
  expect(['500', '500b', '10k', '2M', '1G', '1t'].map(sizeBytes)).toEqual([
    500, 500, 10_240, 2_097_152, 1_073_741_824, 1_099_511_627_776,
  ]);
});

test('an estate has a type that fits its schema', () => {
  const estate: Estate = {
    version: 1,
    repositories: {},
    policies: {},
    sources: {},
  };
  expect(parseEstate(formatEstate(estate))).toEqual({ estate });
});
