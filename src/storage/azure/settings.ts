import { HoldfastError } from '../../base/errors.ts';
import type { Variables } from '../store.ts';

/** Classes of storage for packs of data. Archive is none of them: what stands there cannot be read back at once. */
export type AccessTier = 'Hot' | 'Cool' | 'Cold';

/** What requests prove with that they may. */
export type AzureCredentials =
  | { readonly kind: 'key'; readonly accountKey: string }
  /** A shared access signature, without the question mark before it. */
  | { readonly kind: 'signature'; readonly signature: string };

/** What the environment and `-o azure.…` say. */
export interface AzureSettings {
  readonly accountName: string;
  readonly credentials: AzureCredentials;
  /** URL of the blob service without a slash at its end. */
  readonly serviceUrl: string;
  /** Of packs of data; undefined: the account's default. */
  readonly accessTier: AccessTier | undefined;
}

const suffixDefault = 'core.windows.net';
const tiers: readonly AccessTier[] = ['Hot', 'Cool', 'Cold'];

/**
 * @param extended options of `-o` without `azure.`
 * @throws USAGE, UNSUPPORTED (credentials of the kinds that are not built in); no message has a key in it
 */
export function readSettings(
  variables: Variables,
  extended: ReadonlyMap<string, string>,
): AzureSettings {
  const accountName = variables['AZURE_ACCOUNT_NAME'] ?? '';
  if (accountName === '') {
    throw new HoldfastError('USAGE', {
      message: 'the storage account is not known: AZURE_ACCOUNT_NAME is not set',
    });
  }
  // Part of a host name: nothing in it may lead elsewhere.
  if (!/^[a-z0-9]{3,24}$/.test(accountName)) {
    throw new HoldfastError('USAGE', {
      message: 'AZURE_ACCOUNT_NAME is not of 3 to 24 lower-case letters and digits',
    });
  }
  return {
    accountName,
    credentials: readCredentials(variables),
    serviceUrl: serviceUrl(accountName, variables['AZURE_ENDPOINT_SUFFIX'] || suffixDefault),
    accessTier: readTier(extended.get('access-tier')),
  };
}

/** The key goes before the signature, as in restic. */
function readCredentials(variables: Variables): AzureCredentials {
  const accountKey = variables['AZURE_ACCOUNT_KEY'];
  if (accountKey) {
    if (!/^[A-Za-z0-9+/]{4,}={0,2}$/.test(accountKey)) {
      throw new HoldfastError('USAGE', {
        message: 'AZURE_ACCOUNT_KEY is no key of a storage account: it is not base64',
      });
    }
    return { kind: 'key', accountKey };
  }
  const signature = variables['AZURE_ACCOUNT_SAS']?.replace(/^\?/, '');
  if (signature) {
    if (!/^[\w.~%&=:+/,-]+$/.test(signature) || !/(?:^|&)sig=/.test(signature)) {
      throw new HoldfastError('USAGE', {
        message: 'AZURE_ACCOUNT_SAS is no shared access signature',
      });
    }
    return { kind: 'signature', signature };
  }
  throw noCredentials(variables);
}

function noCredentials(variables: Variables): HoldfastError {
  const isCliForced = Boolean(variables['AZURE_FORCE_CLI_CREDENTIAL']);
  return new HoldfastError(isCliForced ? 'UNSUPPORTED' : 'USAGE', {
    message: isCliForced
      ? 'this version does not ask the Azure CLI for credentials'
      : 'no credentials for the storage account: neither AZURE_ACCOUNT_KEY nor AZURE_ACCOUNT_SAS is set',
    hint: 'Set AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS. Managed identities and logins of the Azure CLI are not supported yet.',
  });
}

/**
 * `https://ACCOUNT.blob.SUFFIX`. An emulator on this machine has no host for each account: its address in place of the
 * suffix means `http://ADDRESS/ACCOUNT`, and nothing else is ever asked without TLS.
 */
function serviceUrl(accountName: string, suffix: string): string {
  const loopback =
    /^(?:(?<scheme>https?):\/\/)?(?<host>(?:127(?:\.[0-9]{1,3}){3}|\[::1\]|localhost)(?::[0-9]{1,5})?)\/?$/;
  const emulator = loopback.exec(suffix)?.groups;
  if (emulator) return `${emulator['scheme'] ?? 'http'}://${emulator['host']}/${accountName}`;
  const url = `https://${accountName}.blob.${suffix}`;
  if (/^[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?$/i.test(suffix) && URL.canParse(url)) return url;
  throw new HoldfastError('USAGE', {
    message: 'AZURE_ENDPOINT_SUFFIX is no domain such as core.windows.net',
    hint: 'For an emulator on this machine write its address, such as 127.0.0.1:10000.',
  });
}

function readTier(text: string | undefined): AccessTier | undefined {
  if (text === undefined || text === '') return undefined;
  const tier = tiers.find((known) => known.toLowerCase() === text.toLowerCase());
  if (tier) return tier;
  throw new HoldfastError('USAGE', {
    message: `option "azure.access-tier" is none of ${tiers.join(', ')}`,
  });
}
