import { z } from 'zod';
import { lineText } from './texts.ts';

/** What a request may need: to look, to start and cancel runs, to change the estate, to administer users and the server. */
export const scopes = ['read', 'run', 'manage', 'admin'] as const;

/** What a request may need. */
export type Scope = (typeof scopes)[number];

/** What people are. */
export const roles = ['viewer', 'operator', 'admin'] as const;

/** What a person is. */
export type Role = (typeof roles)[number];

/** What each of them may. */
export const scopesOfRole: Readonly<Record<Role, readonly Scope[]>> = {
  viewer: ['read'],
  operator: ['read', 'run'],
  admin: ['read', 'run', 'manage', 'admin'],
};

/** The name of a person. */
export const userName: z.ZodType<string> = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._@-]{0,62}$/,
    'must be a name of at most 63 small letters, digits, dots, dashes, underscores and @',
  );

/** Shortest password that is taken. */
export const passwordSizeMin = 12;

/** A password of a person that is to be set. Which ones are too easy is for the server. */
export const newPassword: z.ZodType<string> = z
  .string()
  .min(passwordSizeMin)
  .max(256)
  .meta({ description: `at least ${passwordSizeMin} characters` });

/** A password that is to be compared. */
const givenPassword = z.string().min(1).max(256);

/** The first user. */
export interface SetUpRequest {
  readonly token: string;
  readonly name: string;
  readonly password: string;
}

/** The first user. */
export const setUpRequestSchema: z.ZodType<SetUpRequest> = z.strictObject({
  token: z
    .string()
    .min(1)
    .max(200)
    .meta({ description: 'of the set-up link that the server printed when it started' }),
  name: userName,
  password: newPassword,
});

/** Somebody signs in. */
export interface SignInRequest {
  readonly name: string;
  readonly password: string;
}

/** Somebody signs in. */
export const signInRequestSchema: z.ZodType<SignInRequest> = z.strictObject({
  name: z.string().min(1).max(63),
  password: givenPassword,
});

/** Somebody changes their own password. */
export interface PasswordRequest {
  readonly current: string;
  readonly password: string;
}

/** Somebody changes their own password. */
export const passwordRequestSchema: z.ZodType<PasswordRequest> = z.strictObject({
  current: givenPassword,
  password: newPassword,
});

/** A user who is to be added. */
export interface UserRequest {
  readonly name: string;
  readonly password: string;
  readonly role: Role;
}

/** A user who is to be added. */
export const userRequestSchema: z.ZodType<UserRequest> = z.strictObject({
  name: userName,
  password: newPassword,
  role: z.enum(roles),
});

/** A change of a user. */
export interface UserChange {
  readonly password?: string | undefined;
  readonly role?: Role | undefined;
  readonly disabled?: boolean | undefined;
}

/** A change of a user. */
export const userChangeSchema: z.ZodType<UserChange> = z
  .strictObject({
    password: newPassword.optional(),
    role: z.enum(roles).optional(),
    disabled: z.boolean().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change something');

/** A token that is to be made. */
export interface TokenRequest {
  readonly label: string;
  readonly scopes: readonly Scope[];
  readonly 'expires-in-days'?: number | undefined;
}

/** How long a token counts where nothing is said. */
export const tokenDaysDefault = 90;

/** A token that is to be made. */
export const tokenRequestSchema: z.ZodType<TokenRequest> = z.strictObject({
  label: lineText.meta({ description: 'what it is for' }),
  scopes: z.array(z.enum(scopes)).min(1).max(scopes.length),
  'expires-in-days': z
    .int()
    .min(1)
    .max(3650)
    .optional()
    .meta({ description: `default ${tokenDaysDefault}` }),
});
