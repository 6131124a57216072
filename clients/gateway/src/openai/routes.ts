// The OpenAI images API.
import type { Model } from '@stepcast/client';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { abortOnClose, callerOf, type Gateway } from '../gateway.js';
import { chooseModel } from '../paint/model_choice.js';
import { paint } from '../paint/painting.js';
import { Problem } from '../problem.js';
import { EventStream } from '../sse.js';
import { choiceHeaders, imagesResponse, ImageStream } from './answer.js';
import { readEdit } from './form.js';
import { GenerationBody, parseBody } from './schema.js';
import { type Wish, wishOf } from './wish.js';

type Kind = 'image_generation' | 'image_edit';

interface Exchange {
  request: FastifyRequest;
  reply: FastifyReply;
  kind: Kind;
  wish: Wish;
  asked: string | undefined;
}

function sizeTold({ wish: { options, model } }: Exchange): string {
  return `${options.width ?? model.defaults!.width}x${options.height ?? model.defaults!.height}`;
}

async function answerWhole(exchange: Exchange, gateway: Gateway): Promise<unknown> {
  const { request, reply, wish, asked } = exchange;
  const signal = abortOnClose(reply, gateway.stopping);
  const painting = await paint(gateway, { caller: callerOf(request), signal, requestId: request.id }, wish.options);
  gateway.metrics.images.inc({ dialect: 'openai' }, painting.images.length);
  const origin = gateway.originOf(request);
  const answer = imagesResponse(wish, painting, (bytes, mime) => origin + gateway.files.put(bytes, mime));
  reply.headers(choiceHeaders(wish, answer.size, asked));
  return answer;
}

/** Previews so often that `partial_images` of them can be spread over the steps. */
function withPreviews({ options, model, partialImages, format }: Wish): { options: Wish['options']; steps: number } {
  const steps = options.steps ?? model.defaults!.steps;
  const none = partialImages === 0 || model.decoding?.preview === 'PREVIEW_DECODER_NONE' || steps < 2;
  if (none) return { options, steps };
  const everyNSteps = Math.max(1, Math.floor(steps / (partialImages + 1)));
  const preview = { everyNSteps, format: format === 'png' ? 'IMAGE_FORMAT_PNG' : options.output!.format! } as const;
  return { options: { ...options, preview }, steps };
}

/** The stream begins once the server has admitted the call, so that a refusal has its HTTP status. */
async function answerStream(exchange: Exchange, gateway: Gateway): Promise<void> {
  const { request, reply, kind, wish, asked } = exchange;
  const signal = abortOnClose(reply, gateway.stopping);
  const { options, steps } = withPreviews(wish);
  let stream: ImageStream | undefined;
  const begin = (): ImageStream => {
    reply.hijack();
    const headers = { 'x-request-id': request.id, ...choiceHeaders(wish, sizeTold(exchange), asked) };
    return new ImageStream(new EventStream(reply.raw, gateway.config.heartbeat, headers), kind, wish, sizeTold(exchange), steps);
  };
  try {
    const call = { caller: callerOf(request), signal, requestId: request.id };
    const painting = await paint(gateway, {
      ...call,
      onEvent: (event) => {
        if (event.type === 'accepted') stream ??= begin();
        stream?.onEvent(event);
      },
    }, options);
    gateway.metrics.images.inc({ dialect: 'openai' }, painting.images.length);
    await (stream ??= begin()).completed(painting);
  } catch (error) {
    if (stream === undefined) throw error;
    gateway.fail(request, error);
    // The API has no event for errors: a stream without its last event, cut, is one to every SDK.
    reply.raw.destroy();
  }
}

async function answer(exchange: Exchange, streamed: boolean, gateway: Gateway): Promise<unknown> {
  const leave = gateway.limits.enter(callerOf(exchange.request));
  try {
    if (!streamed) return await answerWhole(exchange, gateway);
    await answerStream(exchange, gateway);
    return exchange.reply;
  } finally {
    leave();
  }
}

function modelRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { aliases } = gateway.config;
  const created = Math.floor(Date.now() / 1000);
  const entry = (id: string) => ({ id, object: 'model', created, owned_by: 'stepcast' });

  app.get('/v1/models', async (request) => {
    const models = await gateway.upstream.models(callerOf(request));
    const usable = Object.entries(aliases).filter(([, id]) => id === '' || models.some((model) => model.id === id));
    return { object: 'list', data: [...models.map((model) => model.id), ...usable.map(([alias]) => alias)].map(entry) };
  });

  app.get<{ Params: { id: string } }>('/v1/models/:id', async (request) => {
    chooseModel(request.params.id, await gateway.upstream.models(callerOf(request)), aliases);
    return entry(request.params.id);
  });
}

async function modelOf(request: FastifyRequest, name: string | undefined, gateway: Gateway): Promise<Model> {
  return chooseModel(name ?? '', await gateway.upstream.models(callerOf(request)), gateway.config.aliases);
}

export function openaiRoutes(app: FastifyInstance, gateway: Gateway): void {
  modelRoutes(app, gateway);

  app.post('/v1/images/generations', async (request, reply) => {
    const body = parseBody(GenerationBody, request.body);
    const wish = wishOf(body, await modelOf(request, body.model, gateway), gateway.config);
    return answer({ request, reply, kind: 'image_generation', wish, asked: body.size }, body.stream ?? false, gateway);
  });

  app.post('/v1/images/edits', async (request, reply) => {
    const { body, pictures } = await readEdit(request, gateway);
    const wish = wishOf(body, await modelOf(request, body.model, gateway), gateway.config, pictures);
    return answer({ request, reply, kind: 'image_edit', wish, asked: body.size }, body.stream ?? false, gateway);
  });

  app.post('/v1/images/variations', async () => {
    throw new Problem('UNIMPLEMENTED', 'NOT_OFFERED', 'variations are not offered; ask /v1/images/edits with a strength');
  });
}
