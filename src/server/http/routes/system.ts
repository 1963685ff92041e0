import { z } from 'zod';
import { HoldfastError } from '../../../base/errors.ts';
import { openApiDocument } from '../open-api.ts';
import { metricsText } from '../metrics.ts';
import { jsonRoute, type Route, textRoute } from '../route.ts';

const health: z.ZodType<{ readonly status: 'ok' }> = z.object({ status: z.enum(['ok']) });
const anyDocument: z.ZodType<Record<string, unknown>> = z.record(z.string(), z.unknown());

/**
 * What tells of the server itself.
 * @param others all other routes, which the document of the API describes
 */
export function systemRoutes(others: readonly Route[]): Route[] {
  const routes: Route[] = [
    jsonRoute({
      method: 'GET',
      path: '/healthz',
      access: 'public',
      summary: 'Whether the server and its database answer',
      answer: health,
      handle: async ({ services }) => {
        try {
          await services.estate.revision();
        } catch (cause) {
          throw new HoldfastError('STATE_FAILED', { cause });
        }
        return { status: 'ok' };
      },
    }),
    textRoute({
      method: 'GET',
      path: '/metrics',
      access: 'read',
      summary: 'Numbers for Prometheus',
      handle: async ({ services }) => ({
        type: 'text/plain; version=0.0.4; charset=utf-8',
        text: await metricsText(services),
      }),
    }),
    jsonRoute({
      method: 'GET',
      path: '/api/v1/openapi.json',
      access: 'signed-in',
      summary: 'This API, as OpenAPI 3.1',
      answer: anyDocument,
      handle: async ({ services }) => ({
        ...openApiDocument([...others, ...routes], services.programVersion),
      }),
    }),
  ];
  return routes;
}
