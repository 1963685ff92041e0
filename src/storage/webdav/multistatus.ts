import { HoldfastError } from '../../base/errors.ts';
import { invalidAnswer } from '../http-errors.ts';
import { XmlError, XmlReader } from './xml-reader.ts';

/** One resource of a listing. */
export interface Resource {
  /** Last part of its address, unescaped; `''` if it cannot be. */
  readonly name: string;
  readonly isFolder: boolean;
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number | undefined;
}

/** 2^24 resources of 512 bytes each. */
const sizeBytesMax = 2 ** 33;
const textLengthMax = 16 << 10;
const asked = new Set([
  '{DAV:}href',
  '{DAV:}getcontentlength',
  '{DAV:}getlastmodified',
  '{DAV:}status',
]);

interface Properties {
  isFolder: boolean;
  length: string;
  modified: string;
  status: string;
}

/** Reads the answer to PROPFIND while it comes, holding one resource at a time (RFC 4918, 13). */
export class MultistatusReader {
  readonly #what: string;
  readonly #onResource: (resource: Resource) => void;
  readonly #xml: XmlReader;
  #sizeBytes = 0;
  #text = '';
  #isKept = false;
  #isMultistatus = false;
  #href = '';
  #found: Properties | undefined;
  #current: Properties = noProperties();

  /** @param what `pack files`, for people */
  constructor(what: string, onResource: (resource: Resource) => void) {
    this.#what = what;
    this.#onResource = onResource;
    this.#xml = new XmlReader({
      open: (name) => this.#open(name),
      text: (text) => this.#keep(text),
      close: (name) => this.#close(name),
    });
  }

  /** @throws BACKEND_READ_FAILED for what is no listing, SERVER_ANSWER_INVALID for one that does not end */
  push(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.byteLength;
    if (this.#sizeBytes > sizeBytesMax) throw this.#endless();
    this.#read(() => this.#xml.push(chunk));
  }

  /** To be called after the last byte. @throws BACKEND_READ_FAILED if the listing is not at its end */
  end(): void {
    this.#read(() => this.#xml.end());
    if (!this.#isMultistatus) throw this.#malformed('it is another document');
  }

  #read(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw error instanceof XmlError ? this.#malformed(error.message) : error;
    }
  }

  #open(name: string): void {
    if (name === '{DAV:}multistatus') this.#isMultistatus = true;
    else if (name === '{DAV:}response') {
      this.#href = '';
      this.#found = undefined;
    } else if (name === '{DAV:}propstat') this.#current = noProperties();
    else if (name === '{DAV:}collection') this.#current.isFolder = true;
    this.#text = '';
    this.#isKept = asked.has(name);
  }

  #keep(text: string): void {
    if (!this.#isKept) return;
    this.#text += text;
    if (this.#text.length > textLengthMax) throw this.#endless();
  }

  #close(name: string): void {
    const text = this.#text.trim();
    this.#isKept = false;
    if (name === '{DAV:}href') this.#href ||= text;
    else if (name === '{DAV:}getcontentlength') this.#current.length = text;
    else if (name === '{DAV:}getlastmodified') this.#current.modified = text;
    else if (name === '{DAV:}status') this.#current.status = text;
    else if (name === '{DAV:}propstat' && / 2[0-9][0-9](?: |$)/.test(this.#current.status)) {
      this.#found = this.#current;
    } else if (name === '{DAV:}response' && this.#found) {
      this.#onResource(resourceOf(this.#href, this.#found));
    }
  }

  #malformed(why: string): HoldfastError {
    return new HoldfastError('BACKEND_READ_FAILED', {
      message: `a listing of the storage cannot be read: ${why}`,
      details: { list: this.#what },
    });
  }

  #endless(): HoldfastError {
    return invalidAnswer('a listing of the storage does not end', { list: this.#what });
  }
}

function noProperties(): Properties {
  return { isFolder: false, length: '', modified: '', status: '' };
}

function resourceOf(href: string, found: Properties): Resource {
  const modifiedMs = Date.parse(found.modified);
  return {
    name: lastPart(href),
    isFolder: found.isFolder,
    sizeBytes: /^[0-9]{1,15}$/.test(found.length) ? Number(found.length) : undefined,
    modifiedMs: Number.isNaN(modifiedMs) ? undefined : modifiedMs,
  };
}

function lastPart(href: string): string {
  const part = href.replace(/\/+$/, '').split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
