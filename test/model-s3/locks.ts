import type { ModelBucket, Retention, Version } from './bucket.ts';
import type { Dialect } from './dialects.ts';
import { Refusal, refuse } from './refusal.ts';
import { textOf } from './xml.ts';

/** What decides about a lock. */
export interface LockRules {
  readonly dialect: Dialect;
  readonly nowMs: number;
  /** Said so, and may. */
  readonly bypasses: boolean;
}

/** @throws Refusal if the version may not be removed */
export function checkRemoval(version: Version, { dialect, nowMs, bypasses }: LockRules): void {
  if (version.isHeld) throw new Refusal(dialect.locked);
  const { retention } = version;
  if (!retention || retention.untilMs <= nowMs) return;
  if (retention.mode === 'GOVERNANCE' && bypasses) return;
  throw new Refusal(dialect.locked, {
    message: 'Access Denied because object protected by object lock.',
  });
}

/**
 * Sets the retention of a version; undefined takes it away.
 *
 * @throws Refusal if that is less than what is promised
 */
export function changeRetention(
  version: Version,
  wanted: Retention | undefined,
  { dialect, nowMs, bypasses }: LockRules,
): void {
  const { retention: held } = version;
  if (held && held.untilMs > nowMs && isLess(wanted, held)) {
    const isAllowed = held.mode === 'GOVERNANCE' && bypasses;
    if (!isAllowed) throw new Refusal(dialect.locked);
  }
  version.retention = wanted;
}

function isLess(wanted: Retention | undefined, held: Retention): boolean {
  return !wanted || wanted.mode !== held.mode || wanted.untilMs < held.untilMs;
}

/** The retention that the headers of a put ask for, or that the bucket gives. @throws Refusal */
export function retentionOfPut(
  bucket: ModelBucket,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  { dialect, nowMs }: Pick<LockRules, 'dialect' | 'nowMs'>,
): { readonly retention: Retention | undefined; readonly isHeld: boolean } {
  const mode = headers['x-amz-object-lock-mode'];
  const until = headers['x-amz-object-lock-retain-until-date'];
  const hold = headers['x-amz-object-lock-legal-hold'];
  const asks = mode !== undefined || until !== undefined || hold !== undefined;
  if (asks && !bucket.hasLock) throw new Refusal(dialect.lockWithoutBucketLock);
  if ((mode === undefined) !== (until === undefined)) throw refuse(400, 'InvalidArgument');
  const isHeld = hold === 'ON';
  if (mode !== undefined) {
    return { retention: parseRetention(String(mode), String(until), nowMs), isHeld };
  }
  const { defaultRetention } = bucket;
  if (!defaultRetention) return { retention: undefined, isHeld };
  const retention = { mode: defaultRetention.mode, untilMs: nowMs + defaultRetention.ms };
  return { retention, isHeld };
}

/** The retention of a request's document; undefined if it is empty. @throws Refusal */
export function retentionOfDocument(xml: string, nowMs: number): Retention | undefined {
  const mode = textOf(xml, 'Mode');
  const until = textOf(xml, 'RetainUntilDate');
  if (mode === undefined && until === undefined) return undefined;
  if (mode === undefined || until === undefined) throw refuse(400, 'MalformedXML');
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw refuse(400, 'MalformedXML');
  return parseRetention(mode, until, nowMs);
}

function parseRetention(mode: string, until: string, nowMs: number): Retention {
  const untilMs = Date.parse(until);
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw refuse(400, 'InvalidArgument');
  if (Number.isNaN(untilMs) || untilMs <= nowMs) throw refuse(400, 'InvalidArgument');
  return { mode, untilMs };
}

/** What an object says of its lock, by headers. */
export function lockHeaders({ retention, isHeld }: Version): Record<string, string> {
  return {
    ...(retention && {
      'x-amz-object-lock-mode': retention.mode,
      'x-amz-object-lock-retain-until-date': new Date(retention.untilMs).toISOString(),
    }),
    ...(isHeld && { 'x-amz-object-lock-legal-hold': 'ON' }),
  };
}
