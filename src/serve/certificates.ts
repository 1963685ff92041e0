import { createSecureContext } from 'node:tls';
import type { Clock, Timer } from '../base/clock.ts';
import { describeError, HoldfastError } from '../base/errors.ts';
import { readWholeFile } from '../platform/whole-file.ts';
import { certificateCheckMs, certificateSizeBytesMax } from './limits.ts';

/** Files in PEM form: the certificate with those that lead to a root, and its private key. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** What the files hold. */
export interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws USAGE if a file cannot be read, or certificate and key do not belong together; never with anything of the key */
export function readCertificates(files: CertificateFiles): CertificatePair {
  const pair = {
    cert: readPem(files.certificate, 'TLS certificate'),
    key: readPem(files.key, 'TLS key'),
  };
  try {
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw new HoldfastError('USAGE', {
      message: `the TLS certificate ${JSON.stringify(files.certificate)} and the key ${JSON.stringify(files.key)} cannot be used together`,
      cause: error,
    });
  }
}

function readPem(path: string, what: string): Buffer {
  try {
    return Buffer.from(readWholeFile(Buffer.from(path), { sizeBytesMax: certificateSizeBytesMax }));
  } catch (error) {
    const message = `the ${what} ${JSON.stringify(path)} cannot be read`;
    throw new HoldfastError('USAGE', { message, cause: error });
  }
}

/** What a `CertificateWatch` works with. `use` gets each new pair; `tell` a line for whoever runs the server. */
export interface CertificateWatchOptions {
  readonly files: CertificateFiles;
  readonly clock: Clock;
  readonly use: (pair: CertificatePair) => void;
  readonly tell: (text: string) => void;
}

/**
 * Looks at the files from time to time and uses what is new, for connections from then on. A pair that does not fit, such as one
 * that is half replaced, is told once and not used; the one before stays.
 */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #timer: Timer;
  #current: CertificatePair;
  #trouble: string | undefined;

  constructor(current: CertificatePair, options: CertificateWatchOptions) {
    this.#current = current;
    this.#options = options;
    this.#timer = options.clock.every(certificateCheckMs, () => this.check());
  }

  /** Looks now. */
  check(): void {
    const { files, tell, use } = this.#options;
    try {
      const pair = readCertificates(files);
      const isNew = !pair.cert.equals(this.#current.cert) || !pair.key.equals(this.#current.key);
      this.#trouble = undefined;
      if (!isNew) return;
      use(pair);
      this.#current = pair;
      tell('read the TLS certificate anew');
    } catch (error) {
      const trouble = describeError(error);
      if (trouble !== this.#trouble) tell(`the TLS certificate before stays in use: ${trouble}`);
      this.#trouble = trouble;
    }
  }

  close(): void {
    this.#timer.stop();
  }
}
