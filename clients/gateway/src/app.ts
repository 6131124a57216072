// Routes, errors, page: HTTP as a whole.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import multipart from '@fastify/multipart';
import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController, type RouteOptions } from 'fastify';

import { errorJson as a1111Error } from './a1111/answer.js';
import { a1111Routes } from './a1111/routes.js';
import type { Config } from './config.js';
import { fileRoutes } from './files.js';
import { Gateway } from './gateway.js';
import { jobRoutes } from './jobs/routes.js';
import { errorJson as openaiError } from './openai/answer.js';
import { openapiDocument } from './openapi.js';
import { openaiRoutes } from './openai/routes.js';
import { pageRoutes } from './page/routes.js';
import { Problem, problemJson } from './problem.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
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

/** How a dialect tells errors. */
interface Wording {
  json: (problem: Problem) => unknown;
  code: (problem: Problem) => number;
}

const usual = (problem: Problem): number => problem.http;
const OWN: Wording = { json: (problem) => ({ error: problemJson(problem) }), code: usual };
const OPENAI: Wording = { json: openaiError, code: usual };
// FastAPI, which A1111 is made with, has 422 for wrong fields.
const A1111: Wording = { json: a1111Error, code: (problem) => (problem.reason === 'FIELD_INVALID' ? 422 : problem.http) };

function wordingOf(url: string): Wording {
  if (url.startsWith('/v1/')) return OPENAI;
  return url.startsWith('/sdapi/') ? A1111 : OWN;
}

function errorHandler(gateway: Gateway, wording: Wording) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = gateway.fail(request, error);
    if (problem.retryAfterMs !== undefined) {
      reply.header('retry-after', Math.max(1, Math.ceil(problem.retryAfterMs / 1000))).header('retry-after-ms', problem.retryAfterMs);
    }
    if (problem.http === 401) reply.header('www-authenticate', 'Bearer, Basic realm="stepcast"');
    void reply.code(wording.code(problem)).send(wording.json(problem));
  };
}

/** Routes that know who calls, and their way to word errors. */
async function room(app: FastifyInstance, gateway: Gateway, wording: Wording, routes: (room: FastifyInstance, gateway: Gateway) => void) {
  await app.register(async (inner) => {
    inner.setErrorHandler(errorHandler(gateway, wording));
    inner.addHook('onRequest', async (request) => {
      request.caller = gateway.callers.identify(request.headers.authorization, request.ip);
    });
    routes(inner, gateway);
  });
}

/** Who asks what a route takes, as browsers and some clients do before they use it; nobody else's page may. */
function optionsRoute(app: FastifyInstance): void {
  app.options('/*', async (_request, reply) => reply.code(204).header('allow', 'GET, HEAD, POST, DELETE, OPTIONS').send());
}

function observe(app: FastifyInstance, gateway: Gateway): void {
  let active = 0;
  // Connections that are kept alive, or were opened to no purpose yet, would keep the process.
  const closeQuiet = (): void => {
    if (gateway.draining && active === 0) setImmediate(() => app.server.closeAllConnections());
  };
  gateway.leaving.addEventListener('abort', closeQuiet);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    const route = request.routeOptions.url ?? 'none';
    // Also of answers that are streamed, or that nobody waited for.
    const started = performance.now();
    active += 1;
    reply.raw.once('close', () => {
      // 499: the client had gone.
      gateway.metrics.requests.inc({ route, code: reply.raw.writableFinished ? String(reply.raw.statusCode) : '499' });
      gateway.metrics.seconds.observe({ route }, (performance.now() - started) / 1000);
      active -= 1;
      closeQuiet();
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
  const document = openapiDocument(version);
  app.get('/openapi.json', async () => document);
  app.get('/metrics', async (_request, reply) => {
    reply.type(gateway.metrics.registry.contentType);
    return gateway.metrics.registry.metrics();
  });
}

function servePage(app: FastifyInstance, folder: string): void {
  const root = folder === '' ? fileURLToPath(new URL('../page/dist', import.meta.url)) : folder;
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

/** The gateway, not listening yet. `onRoute` is told of every route. */
export async function buildApp(config: Config, onRoute?: (route: RouteOptions) => void): Promise<{ app: FastifyInstance; gateway: Gateway }> {
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
  if (onRoute !== undefined) app.addHook('onRoute', onRoute);
  app.decorateRequest('caller', undefined);
  app.setErrorHandler(errorHandler(gateway, OWN));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0];
    const problem = gateway.fail(request, new Problem('NOT_FOUND', 'NO_SUCH_ROUTE', `there is no ${request.method} ${path}`));
    void reply.code(404).send(wordingOf(request.url).json(problem));
  });
  // A form's text is no JSON, whatever it says.
  app.removeContentTypeParser('text/plain');
  await app.register(multipart, { limits: { fileSize: config.limits.max_body_bytes, files: 17, fields: 64, parts: 80 } });
  observe(app, gateway);
  healthRoutes(app, gateway);
  optionsRoute(app);
  fileRoutes(app, gateway.files);
  await room(app, gateway, OWN, pageRoutes);
  await room(app, gateway, OPENAI, openaiRoutes);
  await room(app, gateway, OPENAI, jobRoutes);
  await room(app, gateway, A1111, a1111Routes);
  servePage(app, config.page);
  return { app, gateway };
}
