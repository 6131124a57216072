// Several requests of one page on one connection. Browsers open six to an origin, and a stream takes one for as long as it
// lasts: the sixth picture at once would wait for the first to be done, unseen by the scheduler.
import { randomUUID } from 'node:crypto';

import { GenerateRequest } from '@stepcast/client';
import type { FastifyInstance } from 'fastify';

import type { Caller } from '../callers.js';
import { abortOnClose, callerOf, checkModel, type Gateway } from '../gateway.js';
import { invalid, Problem, problemJson } from '../problem.js';
import { EventStream } from '../sse.js';
import { eventJson } from './events.js';

interface Session {
  owner: string;
  stream: EventStream;
  signal: AbortSignal;
  /** By the page's own names. */
  calls: Map<string, AbortController>;
}

interface Names {
  session: string;
  name: string;
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** A gateway that drains keeps a session for as long as something is painted for it. */
function endIdle({ calls, stream }: Session): void {
  if (calls.size === 0) stream.end();
}

export function sessionRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { upstream, contract, config } = gateway;
  const sessions = new Map<string, Session>();

  const find = (id: string, caller: Caller): Session => {
    const session = sessions.get(id);
    // Somebody else's is as unknown as none.
    if (session?.owner !== caller.key) throw new Problem('NOT_FOUND', 'NO_SUCH_SESSION', 'the session has ended');
    return session;
  };

  app.get('/api/session', async (request, reply) => {
    const caller = callerOf(request);
    const leave = gateway.limits.watch();
    reply.hijack();
    const signal = abortOnClose(reply, gateway.stopping);
    const stream = new EventStream(reply.raw, config.heartbeat, { 'x-request-id': request.id });
    const id = randomUUID();
    const session: Session = { owner: caller.key, stream, signal, calls: new Map() };
    sessions.set(id, session);
    const onLeaving = (): void => endIdle(session);
    gateway.leaving.addEventListener('abort', onLeaving);
    reply.raw.on('close', () => {
      sessions.delete(id);
      gateway.leaving.removeEventListener('abort', onLeaving);
      leave();
    });
    signal.addEventListener('abort', () => stream.end());
    await stream.send('session', { id });
    return reply;
  });

  app.post<{ Params: Names }>('/api/session/:session/:name', async (request, reply) => {
    const { session: id, name } = request.params;
    const caller = callerOf(request);
    const session = find(id, caller);
    if (!NAME.test(name)) throw invalid('name', 'allowed: 1 to 64 letters, digits, dots, dashes and underscores');
    if (session.calls.has(name)) throw new Problem('ALREADY_EXISTS', 'NAME_TAKEN', `${name}: the session has such a call already`);
    const wish = GenerateRequest.decode(contract.fromJson('GenerateRequest', request.body));
    checkModel(caller, wish.model);
    const leave = gateway.limits.enter(caller);
    const abort = new AbortController();
    session.calls.set(name, abort);
    const call = {
      signal: AbortSignal.any([session.signal, abort.signal]), metadata: caller.metadata,
      timeoutMs: config.limits.call_timeout, requestId: request.id,
    };
    const paint = async (): Promise<void> => {
      try {
        for await (const event of upstream.client.generate(wish, call)) {
          const data = eventJson(event, contract);
          if (data === undefined) continue;
          if (event.type === 'image') gateway.metrics.images.inc({ dialect: 'page' });
          await session.stream.send(event.type, { name, data });
        }
      } catch (error) {
        await session.stream.send('error', { name, data: problemJson(gateway.fail(request, error)) });
      } finally {
        session.calls.delete(name);
        leave();
        if (gateway.draining) endIdle(session);
      }
    };
    void paint();
    return reply.code(202).send({ name });
  });

  app.delete<{ Params: Names }>('/api/session/:session/:name', async (request, reply) => {
    find(request.params.session, callerOf(request)).calls.get(request.params.name)?.abort();
    return reply.code(204).send();
  });
}
