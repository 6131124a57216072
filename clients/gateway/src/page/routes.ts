// /api: what the page asks, close to the wire contract.
import { GenerateRequest, GetServerInfoResponse, Model } from '@stepcast/client';
import type { FastifyInstance } from 'fastify';

import type { Gateway } from '../gateway.js';
import { abortOnClose, callerOf, checkModel } from '../gateway.js';
import { problemJson, problemOf } from '../problem.js';
import { EventStream } from '../sse.js';
import { eventJson } from './events.js';
import { sessionRoutes } from './sessions.js';

export function pageRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { upstream, contract, config } = gateway;
  sessionRoutes(app, gateway);

  app.get('/api/models', async (request) => {
    const models = await upstream.models(callerOf(request));
    return {
      default: models.find((model) => model.isDefault)?.id ?? '',
      models: models.map((model) => contract.toJson('Model', Model.encode(model).finish())),
    };
  });

  app.get('/api/server', async (request) => {
    const info = await upstream.serverInfo(callerOf(request));
    return contract.toJson('GetServerInfoResponse', GetServerInfoResponse.encode(info).finish());
  });

  app.get('/api/adapters', async (request) => {
    return { adapters: await upstream.adapters(callerOf(request)) };
  });

  app.get('/api/schedule', async () => upstream.schedule());

  app.post('/api/paint', async (request, reply) => {
    const caller = callerOf(request);
    const wish = GenerateRequest.decode(contract.fromJson('GenerateRequest', request.body));
    checkModel(caller, wish.model);
    const leave = gateway.limits.enter(caller);
    reply.hijack();
    const signal = abortOnClose(reply, gateway.stopping);
    const stream = new EventStream(reply.raw, config.heartbeat, { 'x-request-id': request.id });
    try {
      const call = { signal, metadata: caller.metadata, timeoutMs: config.limits.call_timeout, requestId: request.id };
      for await (const event of upstream.client.generate(wish, call)) {
        const json = eventJson(event, contract);
        if (json === undefined) continue;
        if (event.type === 'image') gateway.metrics.images.inc({ dialect: 'page' });
        await stream.send(event.type, json);
      }
    } catch (error) {
      const problem = gateway.fail(request, error);
      await stream.send('error', problemJson(problem));
    } finally {
      leave();
      stream.end();
    }
    return reply;
  });

  app.get<{ Querystring: { device?: string } }>('/api/ticks', async (request, reply) => {
    const ticks = upstream.ticks(request.query.device ?? '', abortOnClose(reply, gateway.leaving));
    const leave = gateway.limits.watch();
    let stream: EventStream | undefined;
    try {
      if (config.admin === '') await ticks.next();
      reply.hijack();
      stream = new EventStream(reply.raw, config.heartbeat, { 'x-request-id': request.id });
      for await (const tick of ticks) await stream.send('tick', tick);
    } catch (error) {
      if (stream === undefined) throw error;
      await stream.send('error', problemJson(problemOf(error)));
    } finally {
      leave();
      stream?.end();
    }
    return reply;
  });
}
