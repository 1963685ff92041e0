import { z } from 'zod';
import { absolutePath, commandWords, lineText, systemText, variableName } from './texts.ts';

/** Where the value of a variable of a storage comes from; exactly one of the fields is there. */
export interface SecretValue {
  /** Another variable of the environment. */
  readonly variable?: string | undefined;
  readonly file?: string | undefined;
  readonly command?: readonly string[] | undefined;
  /** The value itself, for what is no secret. */
  readonly value?: string | undefined;
}

/** Where a repository is and how it is opened, in the words of the command line. @see docs/ESTATE.md#repositories */
export interface RepositoryEntry {
  readonly description?: string | undefined;
  readonly location: string;
  readonly 'password-file'?: string | undefined;
  readonly 'password-command'?: readonly string[] | undefined;
  readonly 'password-variable'?: string | undefined;
  readonly 'insecure-no-password'?: boolean | undefined;
  readonly 'key-hint'?: string | undefined;
  /** What the store reads from the environment, by the name of the variable. */
  readonly environment?: Readonly<Record<string, SecretValue>> | undefined;
  readonly option?: readonly string[] | undefined;
  readonly cacert?: readonly string[] | undefined;
  readonly 'tls-client-cert'?: string | undefined;
  readonly 'insecure-tls'?: boolean | undefined;
  readonly compression?: 'auto' | 'off' | 'fastest' | 'better' | 'max' | undefined;
  readonly 'pack-size'?: number | undefined;
  readonly 'limit-upload'?: string | undefined;
  readonly 'limit-download'?: string | undefined;
  /** A store that is away at times: a run waits for it and does not fail. */
  readonly removable?: boolean | undefined;
}

/** Ways to give a password, of which a repository has one. */
const passwordFields = [
  'password-file',
  'password-command',
  'password-variable',
  'insecure-no-password',
] as const;

const secretValue: z.ZodType<SecretValue> = z
  .strictObject({
    variable: variableName
      .optional()
      .meta({ description: 'the variable of the environment that holds it' }),
    file: absolutePath.optional().meta({ description: 'the file that holds it' }),
    command: commandWords.optional().meta({ description: 'the program that prints it' }),
    value: z
      .string()
      .max(32_768)
      .optional()
      .meta({ description: 'the value itself, for what is no secret' }),
  })
  .refine(
    (value) => Object.values(value).filter((part) => part !== undefined).length === 1,
    'needs exactly one of variable, file, command, value',
  );

/** A location such as `rest:https://user:secret@host/`, which must not stand in a file that others read. */
const secretInLocation = /^(?:[a-z]+:)?[a-z]+:\/\/[^/@]*:[^/@]+@/;

const rateText = z
  .string()
  .min(1)
  .max(2000)
  .regex(/^[A-Za-z0-9:,. -]*$/, 'must be a rate such as "2M", or a timetable');

/** Where a repository is and how it is opened. */
export const repositoryEntrySchema: z.ZodType<RepositoryEntry> = z
  .strictObject({
    description: lineText.optional().meta({ description: 'what it is, for people' }),
    location: systemText
      .refine(
        (location) => !secretInLocation.test(location),
        'must not hold a password: give it by "environment", such as RESTIC_REST_PASSWORD',
      )
      .meta({ description: 'where it is, as after -r: /srv/backup, sftp:host:/path, s3:…' }),
    'password-file': absolutePath
      .optional()
      .meta({ description: 'the file that holds the password' }),
    'password-command': commandWords
      .optional()
      .meta({ description: 'the program that prints the password, with its arguments' }),
    'password-variable': variableName
      .optional()
      .meta({ description: 'the variable of the environment that holds the password' }),
    'insecure-no-password': z
      .literal(true)
      .optional()
      .meta({ description: 'the repository has an empty password (insecure)' }),
    'key-hint': z
      .string()
      .regex(/^[0-9a-f]{1,64}$/, 'must be the id of a key')
      .optional()
      .meta({ description: 'the id of the key to try first' }),
    environment: z
      .record(variableName, secretValue)
      .optional()
      .meta({ description: 'what the store reads from the environment, by name of the variable' }),
    option: z
      .array(systemText)
      .max(100)
      .optional()
      .meta({ description: 'extended options, as after -o: key=value' }),
    cacert: z
      .array(absolutePath)
      .max(20)
      .optional()
      .meta({ description: "files with root certificates to trust instead of the system's" }),
    'tls-client-cert': absolutePath
      .optional()
      .meta({ description: 'file with a TLS client certificate and its private key' }),
    'insecure-tls': z
      .boolean()
      .optional()
      .meta({ description: 'do not verify the TLS certificate of the storage (insecure)' }),
    compression: z
      .enum(['auto', 'off', 'fastest', 'better', 'max'])
      .optional()
      .meta({ description: 'how to compress new data' }),
    'pack-size': z
      .int()
      .min(4)
      .max(128)
      .optional()
      .meta({ description: 'target size of pack files in MiB, 4 to 128' }),
    'limit-upload': rateText
      .optional()
      .meta({ description: 'upload at most so fast: "2M", or "08:00,512 19:00,10M 23:00,off"' }),
    'limit-download': rateText
      .optional()
      .meta({ description: 'download at most so fast, as limit-upload' }),
    removable: z.boolean().optional().meta({
      description: 'a disk that is away at times: runs wait for it until they are overdue',
    }),
  })
  .refine(
    (entry) => passwordFields.filter((field) => entry[field] !== undefined).length === 1,
    `needs exactly one of ${passwordFields.join(', ')}`,
  );
