import type { Refusal } from './refusal.ts';
import { writeXml, type XmlElement } from './xml.ts';

/** What is answered. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** An answer in XML. */
export function xmlReply(root: XmlElement, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/xml' }, body: writeXml(root) };
}

/** The answer that a refusal becomes. Its text says something that nobody may repeat. */
export function refusalReply(refusal: Refusal, method: string): Reply {
  const { status, code, message, elements, headers } = refusal;
  const { body = '' } = xmlReply(errorElement(code, message, elements));
  const all = { 'content-type': 'application/xml', ...headers };
  return method === 'HEAD' ? { status, headers: all } : { status, headers: all, body };
}

/** The document of an error. */
export function errorElement(
  code: string,
  message: string,
  elements: readonly XmlElement[] = [],
): XmlElement {
  return [
    'Error',
    [
      ['Code', code],
      ['Message', `${message} (SECRET-OF-SERVER)`],
      ...elements,
      ['RequestId', 'model'],
      ['HostId', 'model'],
    ],
  ];
}
