import { readFile } from 'node:fs/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

import { HoldfastError } from '../base/errors.ts';
import type { TransportSettings } from './store.ts';

/** What TLS connections are made with. */
export interface TlsSettings {
  readonly context: SecureContext;
  readonly rejectUnauthorized: boolean;
  /** As `context`, and trusts whom the operating system trusts: 0.1 s of work, so only where it is needed. */
  readonly wider?: () => SecureContext;
}

const certificateFileSizeBytesMax = 16 << 20;

/**
 * Reads the certificate files of `transport`, once for all connections. Without `--cacert` the roots that Node brings are
 * trusted, and those of the operating system.
 *
 * @throws USAGE naming the file that cannot be read or is no PEM
 */
export async function loadTlsSettings(transport: TransportSettings): Promise<TlsSettings> {
  const { caCertificateFiles = [], clientCertificateFile, isTlsInsecure = false } = transport;
  const ca = await Promise.all(caCertificateFiles.map(readRoots));
  const client =
    clientCertificateFile === undefined ? {} : await readClientCertificate(clientCertificateFile);
  const rejectUnauthorized = !isTlsInsecure;
  if (ca.length > 0) {
    return { context: createSecureContext({ ca, ...client }), rejectUnauthorized };
  }
  const wider = (): SecureContext => {
    const roots = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
    return createSecureContext({ ca: [...roots], ...client });
  };
  return { context: createSecureContext(client), rejectUnauthorized, wider };
}

async function readRoots(path: string): Promise<string> {
  const text = await readPem(path);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw unusable(path, 'holds no certificate in PEM form');
}

async function readClientCertificate(path: string): Promise<{ cert: string; key: string }> {
  const text = await readPem(path);
  try {
    createSecureContext({ cert: text, key: text });
  } catch {
    throw unusable(path, 'does not hold a certificate and its private key in PEM form');
  }
  return { cert: text, key: text };
}

async function readPem(path: string): Promise<string> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (cause) {
    throw new HoldfastError('USAGE', {
      message: 'a certificate file cannot be read',
      details: { path },
      cause,
    });
  }
  if (content.byteLength <= certificateFileSizeBytesMax) return content.toString('latin1');
  throw unusable(path, 'is larger than any certificate file');
}

function unusable(path: string, why: string): HoldfastError {
  return new HoldfastError('USAGE', { message: `a certificate file ${why}`, details: { path } });
}
