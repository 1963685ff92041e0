import { once } from 'node:events';
import http from 'node:http';

import { portOf } from './server-port.ts';

/** Stands between a client and a server of this machine, and writes down what is asked. */
export interface CountingProxy {
  readonly port: number;
  /** `GET keys/` in order; names of files are left out. Empties the list. */
  readonly taken: () => string[];
  readonly stop: () => Promise<void>;
}

/** Starts one before the server at `targetPort`. */
export async function startCountingProxy(targetPort: number): Promise<CountingProxy> {
  let requests: string[] = [];
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    requests.push(`${method} ${url.replace(/^\//, '').replace(/[0-9a-f]{64}$/, 'FILE')}`);
    const onward = http.request({ agent, port: targetPort, method, path: url, headers });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    taken: () => {
      const result = requests;
      requests = [];
      return result;
    },
    stop: async () => {
      server.closeAllConnections();
      agent.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
