import { readFileSync } from 'node:fs';

import { describeError, HoldfastError } from '../base/errors.ts';
import type { TransportSettings } from './store.ts';

/** What `node:https` and `node:tls` take for it. */
export interface TlsOptions {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Reads certificates and keys that the settings name. @throws USAGE for a file that cannot be read or holds none */
export function readTlsOptions(transport: TransportSettings): TlsOptions {
  const { caCertificateFiles = [], clientCertificateFile, isTlsInsecure } = transport;
  const own = clientCertificateFile === undefined ? undefined : readPem(clientCertificateFile);
  if (own !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(own)) {
    throw unusable(clientCertificateFile ?? '', 'it holds no private key');
  }
  return {
    ...(caCertificateFiles.length > 0 && { ca: caCertificateFiles.map(readPem) }),
    ...(own !== undefined && { cert: own, key: own }),
    ...(isTlsInsecure && { rejectUnauthorized: false }),
  };
}

function readPem(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    throw unusable(file, describeError(error));
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw unusable(file, 'it holds no certificate in PEM form');
  }
  return text;
}

function unusable(file: string, reason: string): HoldfastError {
  return new HoldfastError('USAGE', {
    message: `the certificate file cannot be used: ${reason}`,
    details: { file },
  });
}
