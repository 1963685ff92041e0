import { HoldfastError } from '../../base/errors.ts';
import type { ThawTerms } from '../backend.ts';
import type { S3Location } from '../location.ts';

/** How packs are brought back that stand in an archive. */
export interface ThawSettings extends ThawTerms {
  readonly tier: 'Standard' | 'Bulk' | 'Expedited';
}

/** What `-o s3.…` and the location say. */
export interface S3Settings {
  /** Requests name the bucket in the path, not in the host. */
  readonly isPathStyle: boolean;
  /** Undefined: nobody said. */
  readonly region: string | undefined;
  readonly listsByVersion1: boolean;
  readonly isAnonymous: boolean;
  /** Of packs of data; undefined: what the bucket has by default. */
  readonly storageClass: string | undefined;
  /** Undefined: an archived pack is an error. */
  readonly thaw: ThawSettings | undefined;
}

type Options = ReadonlyMap<string, string>;

const msPerUnit: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };
const dayCountMax = 3650;

/** @throws USAGE for a value that is none */
export function readSettings(location: S3Location, options: Options): S3Settings {
  const thaw: ThawSettings = {
    days: readNumber(options, 'restore-days', 7),
    tier: readChoice(options, 'restore-tier', ['Standard', 'Bulk', 'Expedited']),
    waitMsMax: readDuration(options, 'restore-timeout', '24h'),
  };
  return {
    isPathStyle: isPathStyle(
      location,
      readChoice(options, 'bucket-lookup', ['auto', 'dns', 'path']),
    ),
    region: readName(options, 'region'),
    listsByVersion1: readSwitch(options, 'list-objects-v1'),
    isAnonymous: readSwitch(options, 'unsafe-anonymous-auth'),
    storageClass: readName(options, 'storage-class'),
    thaw: readSwitch(options, 'enable-restore') ? thaw : undefined,
  };
}

/** The region that a host names whose vendor writes them so: `s3.eu-central-1.amazonaws.com`, `s3.us-west-004.backblazeb2.com`. */
export function regionOfEndpoint(endpoint: string): string | undefined {
  const host = hostOf(endpoint);
  const amazons =
    /^s3[.-](?:fips\.)?(?:dualstack\.)?(?<region>[a-z]{2}(?:-[a-z]+)+-[0-9])\.amazonaws\.com(?:\.cn)?$/i;
  const others =
    /^s3\.(?<region>[a-z0-9]+(?:-[a-z0-9]+)+)\.(?:backblazeb2\.com|wasabisys\.com|scw\.cloud)$/i;
  return (amazons.exec(host) ?? others.exec(host))?.groups?.['region'];
}

/** By `auto` only hosts that are known to want the bucket in their name get it there, as with restic. */
function isPathStyle(location: S3Location, lookup: 'auto' | 'dns' | 'path'): boolean {
  if (lookup !== 'auto') return lookup === 'path';
  const wantsName = /(?:^|\.)(?:amazonaws\.com(?:\.cn)?|storage\.googleapis\.com|aliyuncs\.com)$/i;
  // A certificate for `*.host` is not one for `a.b.host`.
  const fitsName = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(location.bucket);
  return !(fitsName && wantsName.test(hostOf(location.endpoint)));
}

function hostOf(endpoint: string): string {
  return endpoint.replace(/:[0-9]+$/, '');
}

function readChoice<T extends string>(
  options: Options,
  name: string,
  choices: readonly [T, ...T[]],
): T {
  const text = options.get(name) ?? choices[0];
  const choice = choices.find((known) => known.toLowerCase() === text.toLowerCase());
  if (choice === undefined) throw wrong(name, `one of ${choices.join(', ')}`);
  return choice;
}

function readSwitch(options: Options, name: string): boolean {
  const text = options.get(name) ?? 'false';
  if (/^(?:true|t|1)$/i.test(text)) return true;
  if (/^(?:false|f|0)$/i.test(text)) return false;
  throw wrong(name, 'true or false');
}

function readName(options: Options, name: string): string | undefined {
  const text = options.get(name) ?? '';
  if (text === '') return undefined;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text))
    throw wrong(name, 'a name of letters, digits and dashes');
  return text;
}

function readNumber(options: Options, name: string, fallback: number): number {
  const text = options.get(name);
  if (text === undefined) return fallback;
  const days = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > dayCountMax) throw wrong(name, `a number from 1 to ${dayCountMax}`);
  return days;
}

/** Durations as restic writes them: `90m`, `1h30m`. */
function readDuration(options: Options, name: string, fallback: string): number {
  const text = options.get(name) ?? fallback;
  if (!/^(?:[0-9]{1,6}[hms])+$/.test(text)) throw wrong(name, 'a duration like 24h or 1h30m');
  const parts = text.match(/[0-9]+[hms]/g) ?? [];
  return parts.reduce(
    (sum, part) => sum + parseInt(part, 10) * (msPerUnit[part.slice(-1)] ?? 0),
    0,
  );
}

function wrong(name: string, wanted: string): HoldfastError {
  return new HoldfastError('USAGE', { message: `option "s3.${name}" is not ${wanted}` });
}
