import { HoldfastError } from '../../base/errors.ts';
import type { Variables } from '../store.ts';

/** What the environment and `-o gs.…` say. */
export interface GoogleSettings {
  /** With a slash at its end. */
  readonly serviceUrl: string;
  /** An emulator is asked without credentials unless a token is set. */
  readonly isEmulator: boolean;
  /** Of the account that a new bucket is charged to. */
  readonly projectId: string | undefined;
  readonly region: string;
  readonly accessToken: string | undefined;
  /** File with the credentials of a service account, a user or an external account. */
  readonly credentialsFile: string | undefined;
}

const regionDefault = 'us';

/**
 * @param extended options of `-o` without `gs.`
 * @throws USAGE
 */
export function readSettings(
  variables: Variables,
  extended: ReadonlyMap<string, string>,
): GoogleSettings {
  const emulator = variables['STORAGE_EMULATOR_HOST'];
  const accessToken = variables['GOOGLE_ACCESS_TOKEN'] || undefined;
  // Part of a header: nothing in it may begin another.
  if (accessToken !== undefined && !/^[\x21-\x7e]+$/.test(accessToken)) {
    throw new HoldfastError('USAGE', { message: 'GOOGLE_ACCESS_TOKEN is no access token' });
  }
  return {
    serviceUrl: emulator ? emulatorUrl(emulator) : 'https://storage.googleapis.com/',
    isEmulator: Boolean(emulator),
    projectId: variables['GOOGLE_PROJECT_ID'] || undefined,
    region: readRegion(extended.get('region')),
    accessToken,
    credentialsFile: variables['GOOGLE_APPLICATION_CREDENTIALS'] || undefined,
  };
}

/** The variable that the vendor's clients know. Nothing is sent without TLS that leaves this machine. */
function emulatorUrl(text: string): string {
  const address =
    /^(?:http:\/\/)?(?<host>(?:127(?:\.[0-9]{1,3}){3}|\[::1\]|localhost)(?::[0-9]{1,5})?)\/?$/;
  const host = address.exec(text)?.groups?.['host'];
  if (host !== undefined) return `http://${host}/`;
  throw new HoldfastError('USAGE', {
    message: 'STORAGE_EMULATOR_HOST names no server of this machine, such as 127.0.0.1:9000',
  });
}

function readRegion(text: string | undefined): string {
  if (!text) return regionDefault;
  if (/^[A-Za-z0-9-]{1,64}$/.test(text)) return text;
  throw new HoldfastError('USAGE', {
    message: 'option "gs.region" is not a name of letters, digits and dashes',
  });
}
