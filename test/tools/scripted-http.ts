import http from 'node:http';

import { portOf } from './server-port.ts';

/** A request that a scripted server got. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What a server says to a request. */
export type Answer = (request: SeenRequest, response: http.ServerResponse) => void;

/** For tests: a server on 127.0.0.1 that answers as it is told. */
export class ScriptedServer {
  readonly seen: SeenRequest[] = [];
  answer: Answer = (_, response) => response.writeHead(500).end();
  readonly #server: http.Server;

  constructor() {
    this.#server = http.createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const seen = { method, url, headers, body: Buffer.concat(parts) };
        this.seen.push(seen);
        this.answer(seen, response);
      });
    });
  }

  /** Starts it. @returns `127.0.0.1:PORT` */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${portOf(this.#server)}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** An answer of S3 that is an error. */
export function errorAnswer(
  status: number,
  code: string,
  more: { readonly xml?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Answer {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>told by SECRET-OF-SERVER</Message>${more.xml ?? ''}<RequestId>1</RequestId></Error>`;
  return ({ method }, response) => {
    response.writeHead(status, { 'content-type': 'application/xml', ...more.headers });
    response.end(method === 'HEAD' ? undefined : body);
  };
}
