import { untilAborted } from '../../base/abort.ts';
import { HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { translateConnection } from '../http-errors.ts';
import type { GoogleSettings } from './settings.ts';

/** Gives the header that a request is let in by; renews what is behind it in time. */
export type Authorization = (
  signal: AbortSignal | undefined,
) => Promise<{ readonly authorization?: string }>;

const scope = 'https://www.googleapis.com/auth/devstorage.read_write';
const hint =
  'Set GOOGLE_APPLICATION_CREDENTIALS to a file with a key, or GOOGLE_ACCESS_TOKEN, or log in with "gcloud auth application-default login".';

/**
 * Finds credentials where restic does: a token in the environment, else the vendor's application default credentials (a file, the
 * login of gcloud, the machine's own account).
 */
export function authorize(settings: GoogleSettings): Authorization {
  const { accessToken, isEmulator } = settings;
  if (accessToken !== undefined) {
    const header = { authorization: `Bearer ${accessToken}` };
    return async () => header;
  }
  return isEmulator ? async () => ({}) : defaultCredentials(settings);
}

function defaultCredentials({ credentialsFile }: GoogleSettings): Authorization {
  const load = async (): Promise<() => Promise<string | null | undefined>> => {
    const { GoogleAuth } = await import('google-auth-library');
    const auth = new GoogleAuth({
      scopes: [scope],
      ...(credentialsFile !== undefined && { keyFilename: credentialsFile }),
    });
    return () => auth.getAccessToken();
  };
  let loaded: ReturnType<typeof load> | undefined;
  return async (signal) => {
    loaded ??= load();
    try {
      const getToken = await loaded;
      const token = await untilAborted(getToken(), signal);
      if (token) return { authorization: `Bearer ${token}` };
    } catch (error) {
      throw refused(error);
    }
    throw new HoldfastError('CREDENTIALS_REFUSED', { hint });
  };
}

/** No text of the library's errors, which may have in it what was sent. */
function refused(error: unknown): Error {
  if (isHoldfastError(error)) return error;
  const code = systemCode(error) ?? '';
  if (/^(?:E[A-Z_]+|CERT_\w+|UNABLE_\w+)$/.test(code) && code !== 'ENOENT') {
    return translateConnection(error, 'Google');
  }
  const isMissing = error instanceof Error && /default credentials/.test(error.message);
  return new HoldfastError('CREDENTIALS_REFUSED', {
    message:
      code === 'ENOENT'
        ? 'the file with the credentials for Google does not exist'
        : isMissing
          ? 'no credentials for Google were found'
          : 'Google gives no access for the credentials that were found',
    details: { code: /^[a-z_]{1,64}$/.test(code) ? code : undefined },
    hint,
  });
}
