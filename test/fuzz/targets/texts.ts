import { parseExtendedOptions } from '../../../src/session/extended-options.ts';
import { parsePersonTime } from '../../../src/cli/parse-time.ts';
import { safeText } from '../../../src/cli/safe-text.ts';
import { splitShellWords } from '../../../src/base/shell-words.ts';
import { decodeText, trimText } from '../../../src/session/text-file.ts';
import { parseBoolean, parseDuration, parseInteger, parseSize } from '../../../src/cli/values.ts';
import { quoteName, unquoteName } from '../../../src/repository/name-quoting.ts';
import {
  formatTime,
  parseTime,
  parseTimeBytes,
  utcZone,
} from '../../../src/repository/time-format.ts';
import { parseLocation, redactLocation } from '../../../src/storage/location.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

export const timeTarget: FuzzTarget = {
  name: 'time',
  runsInCi: 4000,
  seeds: () =>
    textSeeds(
      '2026-01-31T12:34:56.123456789+01:00',
      '2026-01-31T12:34:56Z',
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59.999999999-23:59',
      '2024-02-29 18:05:00',
      '31.01.2026 18:05',
    ),
  mutate: mutateBytes,
  run: (input) => {
    const text = Buffer.from(input).toString('latin1');
    const parsed = answerOf(() => parseTime(text), 'JSON_INVALID');
    const inside = parseTimeBytes(
      Buffer.concat([Buffer.of(0x30), input, Buffer.of(0x30)]),
      1,
      1 + input.length,
    );
    if (/^[\0-\x7f]*$/.test(text))
      mustEqual(inside, parsed.isGiven ? parsed.value : undefined, 'within');
    const person = answerOf(() => parsePersonTime(text, '--time'), 'USAGE');
    if (person.isGiven) must(Number.isSafeInteger(person.value.seconds), 'a time is whole seconds');
    if (!parsed.isGiven) return;
    mustEqual(parseTime(formatTime(parsed.value, utcZone)), parsed.value, 'a time comes back');
  },
};

export const locationTarget: FuzzTarget = {
  name: 'location',
  runsInCi: 3000,
  seeds: () =>
    textSeeds(
      '/srv/backup',
      'local:relative/path',
      'sftp:anna@host:/srv',
      'sftp://anna:secret-word@[::1]:2222//srv/x',
      'rest:https://anna:secret-word@host:8000/a/b/',
      'rest:http+unix:///run/x.sock:/repo/',
      's3:https://host:9000/bucket/prefix',
      's3:host/bucket',
      'azure:container:/prefix',
      'gs:bucket:/',
      'b2:bucket:prefix',
      'swift:container:/prefix',
      'rclone:remote:path',
      'webdav:https://anna:secret-word@host/x',
      'C:\\backup',
    ),
  mutate: mutateBytes,
  run: (input) => {
    const text = Buffer.from(input).toString('utf8');
    const shown = redactLocation(text);
    const location = answerOf(() => parseLocation(text), 'LOCATION_INVALID');
    if (!location.isGiven) return;
    const password = passwordOf(location.value);
    // A password that stands elsewhere as well, or is as short as a piece of a name, proves nothing.
    if (password.length < 6 || text.split(password).length !== 2) return;
    must(!shown.includes(password), `the password is not shown: ${shown}`);
  },
};

function passwordOf(location: ReturnType<typeof parseLocation>): string {
  if (location.scheme === 'sftp') return location.password ?? '';
  if (location.scheme !== 'rest' && location.scheme !== 'webdav') return '';
  try {
    return new URL(location.url).password;
  } catch {
    return '';
  }
}

/** Names, sizes, durations, commands: what a person writes or a tree shows. */
export const textsTarget: FuzzTarget = {
  name: 'texts',
  runsInCi: 3000,
  seeds: () =>
    textSeeds(
      '1h30m',
      '1.5h',
      '500k',
      '12G',
      'true',
      '-17',
      's3.bucket-lookup=dns',
      'ssh -o "User=anna b" host\\ name \'x y\'',
      'plain name',
      'caf\u00e9 \u202e \u001b[31m "quoted" back\\slash',
      '\\x41\\u00e9\\101\\n',
      '\uFEFFtext \n',
    ),
  mutate: mutateBytes,
  run: (input) => {
    const text = Buffer.from(input).toString('utf8');
    for (const parsed of [parseDuration(text), parseSize(text), parseInteger(text, -10, 10)]) {
      if ('value' in parsed) must(parsed.value >= -10, 'a value is a number');
    }
    parseBoolean(text);
    answerOf(() => splitShellWords(text), 'USAGE');
    answerOf(() => parseExtendedOptions([text]), 'USAGE');
    trimText(decodeText(input));
    must(!/\p{Cc}/u.test(safeText(input)), 'what is shown drives no terminal');
    const name = input.filter((byte) => byte !== 0 && byte !== 0x2f);
    const back = unquoteName(quoteName(name));
    mustEqual(back && Buffer.from(back), Buffer.from(name), 'a name comes back');
    unquoteName(input);
  },
};
