// Routes, errors, page: HTTP as a whole.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';

import type { Config } from './config.js';
import { Gateway } from './gateway.js';
import { pageRoutes } from './page/routes.js';
import { problemJson } from './problem.js';

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
// The page is all its own: no other origin, no script in the text of the document.
const CSP = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'", "font-src 'self'",
  "worker-src 'self' blob:", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
].join('; ');

function requestId(request: { headers: Record<string, unknown> }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

function errorHandler(gateway: Gateway) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = gateway.fail(request, error);
    if (problem.retryAfterMs !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(problem.retryAfterMs / 1000)));
    if (problem.http === 401) reply.header('www-authenticate', 'Bearer, Basic realm="stepcast"');
    void reply.code(problem.http).send({ error: problemJson(problem) });
  };
}

function observe(app: FastifyInstance, gateway: Gateway): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    const route = request.routeOptions.url ?? 'none';
    // Also of answers that are streamed, or that nobody waited for.
    const started = performance.now();
    reply.raw.once('close', () => {
      gateway.metrics.requests.inc({ route, code: String(reply.raw.statusCode) });
      gateway.metrics.seconds.observe({ route }, (performance.now() - started) / 1000);
    });
  });
}

function healthRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const anybody = { key: 'probe', metadata: {}, models: undefined };
    const state = gateway.draining
      ? 'the gateway drains'
      : await gateway.upstream.serverInfo(anybody).then((info) => String(info.state), (error: Error) => error.message);
    const ready = state === 'SERVING_STATE_SERVING';
    return reply.code(ready ? 200 : 503).send({ ready, server: state });
  });
  app.get('/metrics', async (_request, reply) => {
    reply.type(gateway.metrics.registry.contentType);
    return gateway.metrics.registry.metrics();
  });
}

function servePage(app: FastifyInstance, folder: string): void {
  const root = folder === '' ? fileURLToPath(new URL('page', import.meta.url)) : folder;
  if (!existsSync(root)) {
    app.get('/', async (_request, reply) => reply.type('text/plain').send('Stepcast gateway. The page was not built.\n'));
    return;
  }
  void app.register(fastifyStatic, {
    root,
    setHeaders: (response, path) => {
      response.setHeader('content-security-policy', CSP);
      response.setHeader('x-frame-options', 'DENY');
      // Vite names what it builds by its content.
      if (path.includes('/assets/')) response.setHeader('cache-control', 'public, max-age=31536000, immutable');
    },
  });
}

/** The gateway, not listening yet. */
export async function buildApp(config: Config): Promise<{ app: FastifyInstance; gateway: Gateway }> {
  const gateway = new Gateway(config);
  const app = fastify({
    logger: { level: config.log_level },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.limits.max_body_bytes,
    requestTimeout: config.limits.body_timeout,
    trustProxy: config.trust_proxy,
    genReqId: requestId,
    forceCloseConnections: 'idle',
  });
  app.decorateRequest('caller', undefined);
  app.setErrorHandler(errorHandler(gateway));
  observe(app, gateway);
  healthRoutes(app, gateway);
  await app.register(async (room) => {
    room.addHook('onRequest', async (request) => {
      request.caller = gateway.callers.identify(request.headers.authorization, request.ip);
    });
    pageRoutes(room, gateway);
  });
  servePage(app, config.page);
  return { app, gateway };
}
