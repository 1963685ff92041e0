import type http from 'node:http';

import { type RefusalRow, Refusal } from './refusal.ts';
import { errorElement, refusalReply, type Reply, xmlReply } from './reply.ts';
import type { S3Request } from './request.ts';
import { textOf, type XmlElement } from './xml.ts';

/** What a fault may do with a request. */
export interface FaultScene {
  readonly request: S3Request;
  readonly response: http.ServerResponse;
  /** Does what was asked for, and gives the answer; nothing of it is sent. */
  readonly run: () => Reply;
  readonly send: (reply: Reply) => void;
}

/** What happens instead of an answer. */
export type Act = (scene: FaultScene) => void;

/** Which requests something is about. */
export type When = (request: S3Request) => boolean;

/** Something that goes wrong. */
export interface Fault {
  /** Whether it is about this request; counts it. */
  readonly takes: (request: S3Request) => boolean;
  readonly act: Act;
}

/** A fault of some requests: of all, or of `times` of them, after `skip` others of them. */
export function fault(
  when: When | string,
  act: Act,
  { times = Infinity, skip = 0 }: { readonly times?: number; readonly skip?: number } = {},
): Fault {
  const isMeant: When = typeof when === 'string' ? ({ operation }) => operation === when : when;
  let count = 0;
  return {
    takes: (request) => {
      if (!isMeant(request)) return false;
      count++;
      return count > skip && count <= skip + times;
    },
    act,
  };
}

/** An error in XML, with headers such as `retry-after`. Nothing is done. */
export function error(
  row: RefusalRow,
  more: {
    readonly elements?: readonly XmlElement[];
    readonly headers?: Record<string, string>;
  } = {},
): Act {
  return ({ request, send }) => send(refusalReply(new Refusal(row, more), request.method));
}

/** As many servers say that they are asked too often. */
export function slowDown(retryAfterSeconds?: number): Act {
  const headers =
    retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  return error({ status: 503, code: 'SlowDown' }, { headers });
}

/** Does what is asked for, and then lets the answer be lost: the connection breaks. */
export const loseAnswer: Act = ({ run, response }) => {
  run();
  response.destroy();
};

/** The connection breaks before anything is done. */
export const reset: Act = ({ response }) => void response.destroy();

/** Says nothing, for ever. */
export const stall: Act = () => {};

/** Sends the head and a part of the body, and then nothing more. */
export function stallAfter(sizeBytes: number): Act {
  return ({ run, response }) => {
    const { status, headers, body = '' } = run();
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    response.write(Buffer.from(body).subarray(0, sizeBytes));
  };
}

/** A page for people, as of a proxy or of a network that wants a login. */
export function webPage(status = 200): Act {
  return ({ send }) =>
    send({
      status,
      headers: { 'content-type': 'text/html; charset=utf-8' },
      body: '<!DOCTYPE html><html><title>Log in</title><p>SECRET-OF-SERVER</html>',
    });
}

/** The same page, said to be XML. */
export const webPageAsXml: Act = ({ send }) =>
  send({
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: '<!DOCTYPE html><html><title>Log in</title><br></html>',
  });

/** The page in place of a file, which nothing tells but its content. */
export const webPageAsFile: Act = ({ send }) =>
  send({
    status: 200,
    headers: { 'content-type': 'binary/octet-stream' },
    body: '<!DOCTYPE html><html></html>',
  });

/** An error behind the status 200, as some operations may answer late. */
export function lateError(code: string): Act {
  return ({ send }) => send(xmlReply(errorElement(code, 'late')));
}

/** An answer to DeleteObjects by which none is gone, for the same reason. Nothing is done. */
export function refuseDeletions(code: string): Act {
  return ({ request, send }) => {
    const keys = [...request.body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)];
    const errors = keys.map(
      ([, key = '']): XmlElement => [
        'Error',
        [
          ['Key', key],
          ['Code', code],
          ['Message', 'SECRET-OF-SERVER'],
        ],
      ],
    );
    send(xmlReply(['DeleteResult', errors]));
  };
}

/** The real answer, of which only the beginning comes before the connection ends. */
export function truncate(sizeBytes: number): Act {
  return ({ run, response }) => {
    const { status, headers, body = '' } = run();
    const content = Buffer.from(body);
    response.writeHead(status, { ...headers, 'content-length': content.byteLength });
    response.write(content.subarray(0, sizeBytes), () => response.destroy());
  };
}

/** The real answer cut short, with a length that fits the rest. */
export function shorten(sizeBytes: number): Act {
  return ({ run, send }) => {
    const reply = run();
    send({ ...reply, body: Buffer.from(reply.body ?? '').subarray(0, sizeBytes) });
  };
}

/** The real answer with one bit of its body turned. */
export const flipBit: Act = ({ run, send }) => {
  const reply = run();
  const body = Buffer.from(reply.body ?? '');
  const at = body.byteLength >> 1;
  if (body.byteLength > 0) body[at] = (body[at] ?? 0) ^ 1;
  send({ ...reply, body });
};

/** An answer that never ends: `type` for the header, `block` again and again. */
export function endless(type: string, block: string): Act {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': type });
    const bytes = Buffer.from(block.repeat(Math.ceil(65_536 / block.length)));
    const write = (): void => {
      while (!response.destroyed && response.write(bytes)) {}
    };
    response.on('drain', write);
    write();
  };
}

/** Another host is named, as for a bucket that is elsewhere. */
export function redirect(
  status: 301 | 307,
  location: string,
  more: { readonly region?: string } = {},
): Act {
  const code = status === 301 ? 'PermanentRedirect' : 'TemporaryRedirect';
  const headers = {
    ...(status === 307 && { location: `http://${location}/stolen` }),
    ...(more.region !== undefined && { 'x-amz-bucket-region': more.region }),
  };
  return error({ status, code }, { elements: [['Endpoint', location]], headers });
}

/**
 * Lists names of packs without an end, or `countMax` of them: a page after the other, each name once, none of them stored. Nothing of
 * it is kept in memory here.
 */
export function endlessListing(folder: string, { pageSize = 1000, countMax = Infinity } = {}): Act {
  return ({ request, send }) => {
    const from = request.query.get('continuation-token') ?? request.query.get('marker') ?? '0';
    const start = Number.parseInt(/[0-9a-f]*$/.exec(from)?.[0] || '0', 16);
    const count = Math.min(pageSize, countMax - start);
    const contents = Array.from({ length: count }, (_, i): XmlElement => {
      const name = (start + i + 1).toString(16).padStart(64, '0');
      const key = `${folder}${name.slice(0, 2)}/${name}`;
      return [
        'Contents',
        [
          ['Key', key],
          ['Size', 5],
        ],
      ];
    });
    const next = (start + count).toString(16);
    const goesOn = start + count < countMax;
    send(
      xmlReply([
        'ListBucketResult',
        [
          ['IsTruncated', goesOn],
          ...(goesOn ? ([['NextContinuationToken', next]] as const) : []),
          ...contents,
        ],
      ]),
    );
  };
}

/** The real page, and a token that leads to the same one again. */
export const repeatToken: Act = ({ run, send }) => {
  const reply = run();
  const body = String(reply.body ?? '')
    .replace(/<NextContinuationToken>.*?<\/NextContinuationToken>/, '')
    .replace(
      /<IsTruncated>.*?<\/IsTruncated>/,
      '<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>',
    );
  send({ ...reply, body });
};

/** The real page with its names the other way round. */
export const disorder: Act = ({ run, send }) => {
  const reply = run();
  const text = String(reply.body ?? '');
  const contents = text.match(/<Contents>.*?<\/Contents>/gs) ?? [];
  let at = contents.length;
  const body = text.replace(/<Contents>.*?<\/Contents>/gs, () => contents[--at] ?? '');
  send({ ...reply, body });
};

/** For predicates: requests of one operation about keys that hold `part`. */
export function about(operation: string, part: string): When {
  return (request) =>
    request.operation === operation &&
    (request.key.includes(part) ||
      (request.query.get('prefix') ?? '').includes(part) ||
      (operation === 'DeleteObjects' &&
        (textOf(request.body.toString(), 'Key') ?? '').includes(part)));
}
