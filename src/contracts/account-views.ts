import { z } from 'zod';
import { type Role, roles, type Scope, scopes } from './accounts.ts';

const time: z.ZodType<string> = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

/** Who is signed in. */
export interface SessionView {
  readonly user: string;
  readonly role: Role;
  readonly scopes: readonly Scope[];
  /** Absent for who uses a token. */
  readonly 'csrf-token'?: string | undefined;
}

/** Who is signed in. */
export const sessionView: z.ZodType<SessionView> = z.object({
  user: z.string(),
  role: z.enum(roles),
  scopes: z.array(z.enum(scopes)),
  'csrf-token': z
    .string()
    .optional()
    .meta({ description: 'sent as X-Holdfast-CSRF with what changes something' }),
});

/** A person, as others see them. */
export interface UserView {
  readonly name: string;
  readonly role: Role;
  readonly disabled: boolean;
  readonly created: string;
}

/** A person, as others see them. */
export const userView: z.ZodType<UserView> = z.object({
  name: z.string(),
  role: z.enum(roles),
  disabled: z.boolean(),
  created: time,
});

/** A token, without what makes it one. */
export interface TokenView {
  readonly id: string;
  readonly user: string;
  readonly label: string;
  readonly scopes: readonly Scope[];
  readonly created: string;
  readonly expires: string;
  readonly used?: string | undefined;
}

/** A token, without what makes it one. */
export const tokenView: z.ZodType<TokenView> = z.object({
  id: z.string(),
  user: z.string(),
  label: z.string(),
  scopes: z.array(z.enum(scopes)),
  created: time,
  expires: time,
  used: time.optional(),
});

/** A token that was just made. */
export interface NewTokenView {
  readonly id: string;
  readonly token: string;
  readonly expires: string;
}

/** A token that was just made. */
export const newTokenView: z.ZodType<NewTokenView> = z.object({
  id: z.string(),
  token: z.string().meta({ description: 'told this once' }),
  expires: time,
});

/** A record of what somebody did. */
export interface AuditView {
  readonly number: number;
  readonly at: string;
  readonly actor: string;
  readonly address: string;
  readonly action: string;
  readonly object: string;
  readonly decision: 'done' | 'refused';
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly hash: string;
}

/** A record of what somebody did. */
export const auditView: z.ZodType<AuditView> = z.object({
  number: z.int(),
  at: time,
  actor: z.string(),
  address: z.string(),
  action: z.string(),
  object: z.string(),
  decision: z.enum(['done', 'refused']),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  hash: z.string().meta({ description: 'of this record and the hash of the one before' }),
});

/** Whether the records of what was done are as they were written. */
export interface AuditCheckView {
  readonly intact: boolean;
  readonly 'first-broken'?: number | undefined;
}

/** Whether the records of what was done are as they were written. */
export const auditCheckView: z.ZodType<AuditCheckView> = z.object({
  intact: z.boolean(),
  'first-broken': z
    .int()
    .optional()
    .meta({ description: 'the number of the first that is not as it was, or is missing' }),
});
