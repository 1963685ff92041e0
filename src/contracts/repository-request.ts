import { z } from 'zod';
import { lineText, nameText, systemText } from './texts.ts';

/**
 * What a server is told of a repository besides its secrets. Nothing of it makes the server run a program or read a file: whoever
 * may change repositories shall not gain the machine.
 */
export interface RepositorySettings {
  readonly description?: string | undefined;
  readonly location: string;
  readonly compression?: 'auto' | 'off' | 'fastest' | 'better' | 'max' | undefined;
  readonly 'limit-upload'?: string | undefined;
  readonly 'limit-download'?: string | undefined;
  readonly removable?: boolean | undefined;
}

/** Variables that a store may be given by a server: none of them names a file or a program. */
export const storeVariableNames = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_DEFAULT_REGION',
  'AWS_REGION',
  'AZURE_ACCOUNT_NAME',
  'AZURE_ACCOUNT_KEY',
  'AZURE_ACCOUNT_SAS',
  'GOOGLE_ACCESS_TOKEN',
  'GOOGLE_PROJECT_ID',
  'RESTIC_REST_USERNAME',
  'RESTIC_REST_PASSWORD',
] as const;

/** A repository that is to be added. */
export interface RepositoryRequest {
  readonly name: string;
  readonly entry: RepositorySettings;
  /** Never given back. */
  readonly password: string;
  /** Never given back. */
  readonly environment?: Readonly<Partial<Record<StoreVariableName, string>>> | undefined;
  /** Make it if there is none. */
  readonly create?: boolean | undefined;
}

/** One of `storeVariableNames`. */
export type StoreVariableName = (typeof storeVariableNames)[number];

/** A change of a repository. What is left out of the secrets stays. */
export interface RepositoryChange {
  readonly entry: RepositorySettings;
  readonly password?: string | undefined;
  readonly environment?: Readonly<Partial<Record<StoreVariableName, string>>> | undefined;
}

/** Kinds of locations whose stores need no program of the machine. */
const location = systemText
  .refine(
    (text) => text.startsWith('/') || /^(local:\/|rest:|s3:|azure:|gs:|sftp:|webdav:)/.test(text),
    'must be an absolute path, or begin with rest:, s3:, azure:, gs:, sftp: or webdav:',
  )
  .refine(
    (text) => !/^(?:[a-z]+:)?[a-z]+:\/\/[^/@]*:[^/@]+@/.test(text),
    'must not hold a password: give it by "environment", such as RESTIC_REST_PASSWORD',
  )
  .meta({ description: 'where it is: /srv/backup, sftp:host:/path, s3:…' });

const rateText = z
  .string()
  .min(1)
  .max(2000)
  .regex(/^[A-Za-z0-9:,. -]*$/, 'must be a rate such as "2M", or a timetable');

const settings: z.ZodType<RepositorySettings> = z.strictObject({
  description: lineText.optional().meta({ description: 'what it is, for people' }),
  location,
  compression: z.enum(['auto', 'off', 'fastest', 'better', 'max']).optional(),
  'limit-upload': rateText.optional(),
  'limit-download': rateText.optional(),
  removable: z
    .boolean()
    .optional()
    .meta({ description: 'a disk that is away at times: runs wait for it until they are overdue' }),
});

const password = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[^\0\r\n]*$/, 'must be one line')
  .meta({ description: 'the password of the repository; it is sealed and never given back' });

const environment = z
  .partialRecord(z.enum(storeVariableNames), z.string().min(1).max(32_768))
  .optional()
  .meta({ description: 'credentials of the store; they are sealed and never given back' });

/** A repository that is to be added. */
export const repositoryRequestSchema: z.ZodType<RepositoryRequest> = z.strictObject({
  name: nameText,
  entry: settings,
  password,
  environment,
  create: z
    .boolean()
    .optional()
    .meta({ description: 'make the repository if there is none at the location' }),
});

/** A change of a repository. */
export const repositoryChangeSchema: z.ZodType<RepositoryChange> = z.strictObject({
  entry: settings,
  password: password.optional(),
  environment,
});
