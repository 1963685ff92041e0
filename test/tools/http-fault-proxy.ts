import { once } from 'node:events';
import http from 'node:http';

import { systemClock } from '../../src/base/clock.ts';
import { portOf } from './server-port.ts';

/** What happens to a request on its way to a server that is sound. */
export type HttpHarm =
  /** The server never sees it. */
  | {
      readonly does: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The server never sees it, and nothing is answered. */
  | { readonly does: 'stall' }
  /** Carried out, but the connection is reset instead of the answer. */
  | { readonly does: 'lose-answer' }
  /** The connection is reset within the content that is sent. */
  | { readonly does: 'cut-request' }
  /** The body of the answer ends early: with the connection, or, `isSilent`, with a length that fits. */
  | { readonly does: 'cut-answer'; readonly isSilent?: boolean }
  /** One bit of the body of the answer, or of the request, at this part of it (0 to 1). */
  | { readonly does: 'flip-answer' | 'flip-request'; readonly at: number }
  /** Sent to the server twice, one after the other; the second answer is given. */
  | { readonly does: 'twice' }
  /** Sent some milliseconds later than those after it. */
  | { readonly does: 'late'; readonly byMs: number };

/** Which requests are harmed: of those that fit, the first `after` pass, and the next `count` are harmed. */
export interface HttpFault {
  readonly fits?: (request: { readonly method: string; readonly url: string }) => boolean;
  readonly after: number;
  readonly count: number;
  readonly harm: HttpHarm;
}

/** Stands between clients and an HTTP server of this machine, and harms requests as it is told. */
export class HttpFaultProxy {
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #server: http.Server;
  readonly #targetPort: number;
  #fault: HttpFault | undefined;
  #seen = 0;
  /** Requests that were harmed since the fault was set. */
  strikes = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = http.createServer((request, response) => {
      request.on('error', () => {});
      response.on('error', () => {});
      void this.#serve(request, response).catch(() => reset(request));
    });
  }

  static async start(targetPort: number): Promise<HttpFaultProxy> {
    const proxy = new HttpFaultProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** From now on; none: all is well, and what was stalled is cut. */
  set(fault: HttpFault | undefined): void {
    this.#fault = fault;
    this.#seen = 0;
    this.strikes = 0;
  }

  /** Ends all connections. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #harmOf(request: http.IncomingMessage): HttpHarm | undefined {
    const fault = this.#fault;
    const { method = '', url = '' } = request;
    if (!fault || fault.fits?.({ method, url }) === false) return undefined;
    const number = this.#seen++;
    if (number < fault.after || number >= fault.after + fault.count) return undefined;
    this.strikes++;
    return fault.harm;
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const harm = this.#harmOf(request);
    if (harm?.does === 'cut-request') {
      request.once('data', () => reset(request));
      request.once('end', () => reset(request));
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    let body: Buffer = Buffer.concat(parts);
    if (harm?.does === 'stall') return;
    if (harm?.does === 'answer') return sayInstead(harm, request, response);
    if (harm?.does === 'flip-request') body = flipped(body, harm.at);
    if (harm?.does === 'late') await systemClock.sleep(harm.byMs);
    if (harm?.does === 'twice') await this.#forward(request, body);
    const answer = await this.#forward(request, body);
    if (harm?.does === 'lose-answer') return reset(request);
    giveAnswer(answer, harm, response);
  }

  async #forward(request: http.IncomingMessage, body: Buffer): Promise<ForwardedAnswer> {
    const { method = '', url = '', headers } = request;
    const { expect: _, ...kept } = headers;
    const options = { agent: this.#agent, port: this.#targetPort, host: '127.0.0.1' };
    const onward = http.request({ ...options, method, path: url, headers: kept });
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [http.IncomingMessage];
    const parts: Buffer[] = [];
    for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
    const { statusCode: status = 500, headers: found } = answer;
    return { status, headers: found, body: Buffer.concat(parts), isHead: method === 'HEAD' };
  }
}

/** Ends the connection of a request, also of one that was read whole: `destroy` of that would leave it open. */
function reset({ socket }: http.IncomingMessage): void {
  socket.resetAndDestroy();
}

interface ForwardedAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly isHead: boolean;
}

function sayInstead(
  { status, headers = {}, body = '' }: Extract<HttpHarm, { does: 'answer' }>,
  { method }: http.IncomingMessage,
  response: http.ServerResponse,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(method === 'HEAD' ? undefined : body);
}

function giveAnswer(
  { status, headers, body, isHead }: ForwardedAnswer,
  harm: HttpHarm | undefined,
  response: http.ServerResponse,
): void {
  const { 'transfer-encoding': _, connection: __, ...kept } = headers;
  if (isHead || body.byteLength === 0) return void response.writeHead(status, kept).end();
  const isCut = harm?.does === 'cut-answer';
  const given = isCut ? body.subarray(0, body.byteLength >> 1) : body;
  const length = isCut && !harm.isSilent ? body.byteLength : given.byteLength;
  response.writeHead(status, { ...kept, 'content-length': length });
  if (length !== given.byteLength) {
    response.write(given, () => response.destroy());
  } else response.end(harm?.does === 'flip-answer' ? flipped(given, harm.at) : given);
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = Math.min(copy.byteLength - 1, Math.floor(at * copy.byteLength));
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}
