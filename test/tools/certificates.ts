import path from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';

import { mustRun } from './run-program.ts';

/** A certificate with its key: the texts, and a file with both. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly file: string;
}

export interface CertificateRequest {
  /** Also the name of its files. */
  readonly name: string;
  /** `DNS:localhost,IP:127.0.0.1`. */
  readonly subjects?: string;
  /** Signed by itself without one. */
  readonly issuer?: Certificate;
  /** Negative: it has expired. Default 30. */
  readonly validDays?: number;
}

/** Makes a certificate in `folder` with openssl: that of an authority if it has neither subjects nor issuer. */
export async function makeCertificate(
  folder: string,
  { name, subjects, issuer, validDays = 30 }: CertificateRequest,
): Promise<Certificate> {
  const file = (kind: string): string => path.join(folder, `${name}.${kind}`);
  const [request, extensions] = [file('csr'), file('ext')];
  const isAuthority = subjects === undefined && !issuer;
  writeFileSync(
    extensions,
    isAuthority
      ? 'basicConstraints=critical,CA:TRUE\n'
      : `subjectAltName=${subjects ?? 'DNS:nobody'}\n`,
  );
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', `/CN=${name}`];
  await mustRun('openssl', [
    'req',
    '-new',
    ...curve,
    ...subject,
    '-keyout',
    file('key'),
    '-out',
    request,
  ]);
  const signer = issuer
    ? ['-CA', issuer.file, '-CAkey', issuer.file, '-CAcreateserial']
    : ['-signkey', file('key')];
  const days = ['-days', String(validDays)];
  await mustRun('openssl', [
    'x509',
    '-req',
    ...days,
    ...signer,
    '-in',
    request,
    '-extfile',
    extensions,
    '-out',
    file('cert'),
  ]);
  const [cert, key] = [readFileSync(file('cert'), 'latin1'), readFileSync(file('key'), 'latin1')];
  writeFileSync(file('pem'), `${cert}${key}`);
  return { cert, key, file: file('pem') };
}
