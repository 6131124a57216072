// Jobs: pictures that nobody holds a connection open for.
import type { FastifyInstance, FastifyRequest } from 'fastify';

import { abortOnClose, callerOf, type Gateway } from '../gateway.js';
import { readEdit } from '../openai/form.js';
import { GenerationBody, parseBody } from '../openai/schema.js';
import { type Wish, wishOf } from '../openai/wish.js';
import { chooseModel } from '../paint/model_choice.js';
import { paint } from '../paint/painting.js';
import { invalid, Problem } from '../problem.js';
import { EventStream } from '../sse.js';
import { Job } from './job.js';

const LIVE_PREVIEWS = 8;

async function wishOfJob(request: FastifyRequest, gateway: Gateway): Promise<Wish> {
  const models = await gateway.upstream.models(callerOf(request));
  const edits = typeof request.body === 'object' && request.body !== null && 'images' in request.body;
  if (edits) {
    const { body, pictures } = await readEdit(request, gateway);
    return wishOf(body, chooseModel(body.model ?? '', models, gateway.config.aliases), gateway.config, pictures);
  }
  const body = parseBody(GenerationBody, request.body);
  return wishOf(body, chooseModel(body.model ?? '', models, gateway.config.aliases), gateway.config);
}

function withPreviews({ options, model }: Wish): Wish['options'] {
  const steps = options.steps ?? model.defaults!.steps;
  if (model.decoding?.preview === 'PREVIEW_DECODER_NONE' || steps < 2) return options;
  return { ...options, preview: { everyNSteps: Math.ceil(steps / LIVE_PREVIEWS) } };
}

/** Paints until it is done; whoever asks for the job learns how it went. */
async function run(job: Job, request: FastifyRequest, wish: Wish, gateway: Gateway, leave: () => void): Promise<void> {
  const signal = AbortSignal.any([job.signal, gateway.stopping]);
  try {
    const call = {
      caller: callerOf(request), signal, requestId: job.id, timeoutMs: gateway.config.jobs.timeout, onEvent: job.onEvent.bind(job),
    };
    const painting = await paint(gateway, call, withPreviews(wish));
    gateway.metrics.images.inc({ dialect: 'jobs' }, painting.images.length);
    job.succeed(painting);
  } catch (error) {
    gateway.fail(request, error);
    job.fail(error);
  } finally {
    leave();
  }
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(key)) throw invalid('Idempotency-Key', 'allowed: 1..255 printable characters');
  return key;
}

type ById = { Params: { id: string } };

function submitRoute(app: FastifyInstance, gateway: Gateway): void {
  const { jobs, limits } = gateway;
  app.post('/v1/jobs', async (request, reply) => {
    const caller = callerOf(request);
    const key = idempotencyKey(request);
    const wish = await wishOfJob(request, gateway);
    // Nothing is awaited from here on: two equal requests are one job.
    const known = key === undefined ? undefined : jobs.recall(caller.key, key, request.body);
    const job = known ?? new Job(caller.key, wish.model.id, wish.options.imageCount!);
    if (known === undefined) {
      const leave = limits.enter(caller);
      try {
        jobs.add(job, key, request.body);
      } catch (error) {
        leave();
        throw error;
      }
      void run(job, request, wish, gateway, leave);
    }
    return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(job.json());
  });
}

function eventsRoute(app: FastifyInstance, gateway: Gateway): void {
  app.get<ById>('/v1/jobs/:id/events', async (request, reply) => {
    const job = gateway.jobs.get(callerOf(request).key, request.params.id);
    const gone = abortOnClose(reply, gateway.stopping);
    reply.hijack();
    const stream = new EventStream(reply.raw, gateway.config.heartbeat, { 'x-request-id': request.id });
    // One wake-up stands for all changes since the last: who reads slowly sees the newest state.
    let wake: () => void = () => undefined;
    const onChange = (): void => wake();
    job.on('change', onChange);
    gone.addEventListener('abort', onChange);
    while (!gone.aborted) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await stream.send('job', job.json());
      if (job.done) break;
      await changed;
    }
    job.off('change', onChange);
    stream.end();
    return reply;
  });
}

export function jobRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { jobs } = gateway;
  const jobOf = (request: FastifyRequest<ById>): Job => jobs.get(callerOf(request).key, request.params.id);
  const cancel = async (request: FastifyRequest<ById>) => {
    const job = jobOf(request);
    if (!job.done) {
      const ended = new Promise<void>((resolve) => job.on('change', () => job.done && resolve()));
      job.cancel();
      await ended;
    }
    return job.json();
  };

  submitRoute(app, gateway);
  eventsRoute(app, gateway);
  app.get('/v1/jobs', async (request) => ({ object: 'list', data: jobs.of(callerOf(request).key).map((job) => job.json()) }));
  app.get<ById>('/v1/jobs/:id', async (request) => jobOf(request).json());
  app.delete<ById>('/v1/jobs/:id', cancel);
  app.post<ById>('/v1/jobs/:id/cancel', cancel);

  app.get<ById>('/v1/jobs/:id/preview', async (request, reply) => {
    const { preview } = jobOf(request);
    if (preview === undefined) throw new Problem('NOT_FOUND', 'NO_PREVIEW', 'the job has no unfinished picture to show');
    return reply.type(preview.mime).header('cache-control', 'no-store').send(preview.data);
  });

  app.get<{ Params: { id: string; index: string } }>('/v1/jobs/:id/images/:index', async (request, reply) => {
    const image = jobOf(request).images[Number(request.params.index)];
    if (image === undefined) throw new Problem('NOT_FOUND', 'NO_SUCH_IMAGE', 'the job has no such picture');
    return reply.type(image.mime).header('cache-control', 'private, max-age=3600').send(image.data);
  });
}
