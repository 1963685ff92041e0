import type { Version } from './bucket.ts';
import { Refusal, refuse } from './refusal.ts';
import { textOf } from './xml.ts';

type Tier = 'Expedited' | 'Standard' | 'Bulk';

const minutes = 60_000;
const hours = 60 * minutes;

/** Longest time that the vendor names, by class and tier; undefined: not to be had. */
const thawMs: Readonly<Record<string, Readonly<Record<Tier, number | undefined>>>> = {
  GLACIER: { Expedited: 5 * minutes, Standard: 5 * hours, Bulk: 12 * hours },
  DEEP_ARCHIVE: { Expedited: undefined, Standard: 12 * hours, Bulk: 48 * hours },
  ARCHIVE_ACCESS: { Expedited: 5 * minutes, Standard: 5 * hours, Bulk: 12 * hours },
  DEEP_ARCHIVE_ACCESS: { Expedited: undefined, Standard: 12 * hours, Bulk: 48 * hours },
};

/** Where an object rests that cannot be read before it is brought back. */
function archiveOf({ storageClass, archiveTier }: Version): string | undefined {
  return archiveTier ?? (storageClass in thawMs ? storageClass : undefined);
}

/** Whether it can be read now. Moves what has come back from a tier that it leaves for good. */
function isReadable(version: Version, nowMs: number): boolean {
  const { thawing } = version;
  if (archiveOf(version) === undefined) return true;
  if (!thawing || thawing.readyMs > nowMs) return false;
  if (version.archiveTier) {
    version.archiveTier = undefined;
    version.thawing = undefined;
    return true;
  }
  return thawing.untilMs === undefined || thawing.untilMs > nowMs;
}

/** @throws Refusal (InvalidObjectState) */
export function checkReadable(version: Version, nowMs: number): void {
  if (isReadable(version, nowMs)) return;
  const { storageClass, archiveTier } = version;
  throw new Refusal(
    { status: 403, code: 'InvalidObjectState' },
    {
      elements: [
        ['StorageClass', storageClass],
        ...(archiveTier ? [['AccessTier', archiveTier] as const] : []),
      ],
    },
  );
}

/**
 * Asks for an object back.
 *
 * @returns 202; 200 if it is back already, and only stays longer
 * @throws Refusal
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
 */
export function startThaw(version: Version, xml: string, nowMs: number): 200 | 202 {
  const archive = archiveOf(version);
  if (archive === undefined || isReadableForGood(version, nowMs)) {
    throw refuse(403, 'InvalidObjectState');
  }
  const days = textOf(xml, 'Days');
  // What leaves its tier for good is not asked for days, and what only gets a copy is.
  if ((days === undefined) !== (version.archiveTier !== undefined)) {
    throw refuse(400, 'MalformedXML');
  }
  const lastsMs = days === undefined ? undefined : Number(days) * 24 * hours;
  const { thawing } = version;
  if (isReadable(version, nowMs) && thawing) {
    version.thawing = { readyMs: thawing.readyMs, untilMs: nowMs + (lastsMs ?? 0) };
    return 200;
  }
  if (thawing && thawing.readyMs > nowMs) throw refuse(409, 'RestoreAlreadyInProgress');
  const takesMs = thawMs[archive]?.[(textOf(xml, 'Tier') ?? 'Standard') as Tier];
  if (takesMs === undefined) throw refuse(400, 'InvalidArgument');
  const readyMs = nowMs + takesMs;
  version.thawing = { readyMs, untilMs: lastsMs === undefined ? undefined : readyMs + lastsMs };
  return 202;
}

function isReadableForGood(version: Version, nowMs: number): boolean {
  return version.archiveTier !== undefined && isReadable(version, nowMs);
}

/** What an object says of its archive, by headers. */
export function archiveHeaders(version: Version, nowMs: number): Record<string, string> {
  const readable = isReadable(version, nowMs);
  const { archiveTier, storageClass, thawing } = version;
  const isGone = thawing?.untilMs !== undefined && thawing.untilMs <= nowMs;
  return {
    ...(storageClass !== 'STANDARD' && { 'x-amz-storage-class': storageClass }),
    ...(archiveTier && { 'x-amz-archive-status': archiveTier }),
    ...(thawing && !isGone && { 'x-amz-restore': restoreText(readable, thawing.untilMs) }),
  };
}

function restoreText(readable: boolean, untilMs: number | undefined): string {
  if (!readable) return 'ongoing-request="true"';
  const expiry = untilMs === undefined ? '' : `, expiry-date="${new Date(untilMs).toUTCString()}"`;
  return `ongoing-request="false"${expiry}`;
}
