import type { FastifyReply } from 'fastify';
import { describeError, isHoldfastError } from '../../base/errors.ts';
import type { ServerEvent } from './route.ts';
import type { Services } from './services.ts';

/** How often something is sent so that nobody in between closes a connection that is idle, in milliseconds. */
const aliveMs = 15_000;

/** Sends what happens as server-sent events, until there is no more or nobody listens. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<ServerEvent>,
  { environment }: Pick<Services, 'environment'>,
): Promise<FastifyReply> {
  reply.hijack();
  const { raw } = reply;
  const headers = Object.fromEntries(
    Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined),
  );
  raw.writeHead(200, {
    ...headers,
    'Content-Type': 'text/event-stream; charset=utf-8',
    'X-Accel-Buffering': 'no',
  });
  const alive = environment.clock.every(aliveMs, () => raw.write(': alive\n\n'));
  try {
    for await (const { id, event, data } of events) {
      if (raw.destroyed) break;
      const lines = [`event: ${event}`, `data: ${JSON.stringify(data)}`];
      if (id !== undefined) lines.unshift(`id: ${id}`);
      if (!raw.write(`${lines.join('\n')}\n\n`)) await drained(raw);
    }
  } catch (error) {
    // Whoever listened is gone, or the server ends; else what went wrong is told.
    if (!isHoldfastError(error, 'CANCELLED')) {
      raw.write(`event: failed\ndata: ${JSON.stringify({ message: describeError(error) })}\n\n`);
    }
  } finally {
    alive.stop();
    raw.end();
  }
  return reply;
}

function drained(raw: FastifyReply['raw']): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      raw.off('drain', done);
      raw.off('close', done);
      resolve();
    };
    raw.once('drain', done);
    raw.once('close', done);
  });
}
