import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { randomBytes } from '../../base/random.ts';
import { describeError, HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { answerRoute } from './answer-route.ts';
import { assertSameSite, type Site } from './browser-guards.ts';
import { problemOf } from './problem.ts';
import type { Route } from './route.ts';
import type { Services } from './services.ts';

/** Largest body of a request, in bytes. */
const bodySizeBytesMax = 1 << 20;

/** Time for a whole request to come in, and for which an idle connection is kept, in milliseconds. */
const requestMsMax = 60_000;
const keepAliveMs = 30_000;

/** Headers of one request at most, in bytes; and connections at once. */
const headerSizeBytesMax = 16 * 1024;
const connectionCountMax = 1000;

/** A line of the server's own log. Nothing in it is secret. */
export type LogLine = (
  line: Readonly<Record<string, string | number | boolean | undefined>>,
) => void;

/** What the HTTP side of a server is built of. */
export interface AppOptions {
  readonly services: Services;
  readonly routes: readonly Route[];
  readonly site: Site;
  readonly log: LogLine;
}

/** A page may do nothing but show itself and send its own form. */
const contentPolicy =
  "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/** Builds the HTTP side, which does not listen yet. */
export function buildApp(options: AppOptions): FastifyInstance {
  const { services, routes, site, log } = options;
  const { environment } = services;
  const app = fastify({
    logger: false,
    bodyLimit: bodySizeBytesMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: keepAliveMs,
    http: { maxHeaderSize: headerSizeBytesMax },
    // Only this machine reaches the server: behind a proxy, who asks is whom that names, or all would share one limit of tries.
    trustProxy: site.origin === undefined ? false : 'loopback',
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
    genReqId: () => Buffer.from(randomBytes(environment.random, 8)).toString('hex'),
  });
  app.server.maxConnections = connectionCountMax;
  takeBodies(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders(site));
    reply.header('X-Request-Id', request.id);
    assertSameSite(request, site);
  });
  app.addHook('onResponse', async (request, reply) => {
    log({
      event: 'request',
      'request-id': request.id,
      method: request.method,
      // The route, not the path: names in it are nobody's business, and what was not found may be anything.
      route: request.routeOptions.url ?? '-',
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      address: request.ip,
      actor: actors.get(request),
    });
  });
  app.setErrorHandler((error, request, reply) => refuse(options, { error, request, reply }));
  app.setNotFoundHandler((request, reply) =>
    refuse(options, {
      error: new HoldfastError('NOT_THERE', { message: 'there is no such path' }),
      request,
      reply,
    }),
  );
  for (const route of routes) addRoute(app, route, options);
  return app;
}

/** Who made a request, for the log. */
const actors = new WeakMap<FastifyRequest, string>();

function addRoute(app: FastifyInstance, route: Route, { services, site }: AppOptions): void {
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    // The schemas of a route are zod's, and are held in answerRoute.
    schema: {},
    handler: (request, reply) =>
      answerRoute(route, {
        request,
        reply,
        services,
        site,
        onActor: (actor) => actors.set(request, actor),
      }),
  });
}

/** JSON, and forms where a route takes them; nothing else. */
function takeBodies(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function securityHeaders({ isSecure }: Site): Record<string, string> {
  return {
    'Content-Security-Policy': contentPolicy,
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
    ...(isSecure ? { 'Strict-Transport-Security': 'max-age=31536000' } : {}),
  };
}

function refuse(
  { log }: AppOptions,
  {
    error,
    request,
    reply,
  }: { readonly error: unknown; readonly request: FastifyRequest; readonly reply: FastifyReply },
): FastifyReply {
  const problem = problemOf(error, request.id);
  if (problem.status >= 500) {
    log({ event: 'request-failed', 'request-id': request.id, error: describeError(error) });
  }
  if (problem.code === 'NOT_AUTHENTICATED') reply.header('WWW-Authenticate', 'Bearer');
  if (isHoldfastError(error) && error.retryAfterMs !== undefined) {
    reply.header('Retry-After', Math.ceil(error.retryAfterMs / 1000));
  }
  return reply
    .code(problem.status)
    .header('Content-Type', 'application/problem+json')
    .send(JSON.stringify(problem));
}
