import http from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach } from 'vitest';

/** A request that came whole. */
export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What a server says to a request. */
export type Answerer = (request: ReceivedRequest, response: http.ServerResponse) => void;

/** A server that says what the test at hand has it say. */
export interface HttpScript {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** Of the test at hand. */
  readonly requests: readonly ReceivedRequest[];
  answer: Answerer;
}

/** A server for each test of a file. */
export function startHttpScript(): HttpScript {
  const requests: ReceivedRequest[] = [];
  const script: { address: string; requests: readonly ReceivedRequest[]; answer: Answerer } = {
    address: '',
    requests,
    answer: (_, response) => response.destroy(),
  };
  let server: http.Server;
  beforeEach(async () => {
    requests.length = 0;
    server = http.createServer((message, response) => {
      const chunks: Buffer[] = [];
      message.on('data', (chunk: Buffer) => chunks.push(chunk));
      message.on('end', () => {
        const { method = '', url = '', headers } = message;
        const request = { method, url, headers, body: Buffer.concat(chunks) };
        requests.push(request);
        script.answer(request, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server on TCP has such an address
    script.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  return script;
}
