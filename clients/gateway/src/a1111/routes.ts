// The A1111 API, as far as its clients use it.
import { type GenerateOptions, type Model, StepcastError } from '@stepcast/client';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { abortOnClose, callerOf, type Gateway } from '../gateway.js';
import { parseBody } from '../openai/schema.js';
import { chooseModel } from '../paint/model_choice.js';
import { paint, type PaintCall, type Painting } from '../paint/painting.js';
import type { Adapter } from '../upstream.js';
import { modelJson, paintedJson, samplersJson, schedulersJson, titleOf } from './answer.js';
import { ImageBody, OptionsBody, TextBody } from './schema.js';
import { Tasks } from './tasks.js';
import { namesLoras, type Target, wishOfImage, wishOfText } from './wish.js';

const REMEMBERED_CLIENTS = 1000;
const LIVE_PREVIEWS = 8;
const AS_IT_STANDS = 'prompt: the server does not read the syntax of A1111; brackets and weights were painted as they stand';

/** What a client has set by POST options, for itself. */
interface Options {
  sd_model_checkpoint?: string;
  CLIP_stop_at_last_layers?: number;
}

export class A1111 {
  readonly tasks = new Tasks();
  private readonly options = new Map<string, Options>();

  constructor(private readonly gateway: Gateway) {}

  optionsOf(request: FastifyRequest): Options {
    return this.options.get(callerOf(request).key) ?? {};
  }

  /** A client's own choice; only the last so many clients are remembered. */
  remember(request: FastifyRequest, options: Options): void {
    const { key } = callerOf(request);
    this.options.delete(key);
    this.options.set(key, options);
    if (this.options.size > REMEMBERED_CLIENTS) this.options.delete(this.options.keys().next().value!);
  }

  /** The model of that title or name, else the one that the client has set, else the default one. */
  async modelOf(request: FastifyRequest, title?: string | null): Promise<Model> {
    const name = (title || this.optionsOf(request).sd_model_checkpoint || '').replace(/ \[[0-9a-f]+\]$/, '').replace(/\.safetensors$/, '');
    return chooseModel(name, await this.gateway.upstream.models(callerOf(request)), this.gateway.config.aliases);
  }

  async targetOf(request: FastifyRequest, body: TextBody): Promise<Target> {
    const caller = callerOf(request);
    const [model, limits] = await Promise.all([
      this.modelOf(request, body.override_settings?.sd_model_checkpoint), this.gateway.upstream.limits(caller),
    ]);
    const optionsSkip = this.optionsOf(request).CLIP_stop_at_last_layers;
    const loras = namesLoras(body.prompt) ? await this.lorasOf(request) : [];
    const wordless = new Set(loras.filter(({ changesTextEncoders }) => !changesTextEncoders).map(({ name }) => name));
    return { model, config: this.gateway.config, readsSyntax: limits.maxPromptChunks > 0, optionsSkip, wordless };
  }

  async lorasOf(request: FastifyRequest): Promise<Adapter[]> {
    return (await this.gateway.upstream.adapters(callerOf(request))).filter(({ kind }) => kind === 'ADAPTER_KIND_LORA');
  }

  /** A server that does not read A1111's prompts paints them as they stand, and the answer says so. */
  private async paintAsRead(call: PaintCall, wish: GenerateOptions): Promise<Painting> {
    try {
      return await paint(this.gateway, call, wish);
    } catch (error) {
      const unread = error instanceof StepcastError && error.fieldViolations.some(({ field }) => field === 'prompt_syntax');
      if (!unread) throw error;
      const { promptSyntax: _, ...plain } = wish;
      const painting = await paint(this.gateway, call, plain);
      return { ...painting, warnings: [...painting.warnings, AS_IT_STANDS] };
    }
  }

  /** Paints, as a task of the client, and answers as A1111 does. */
  async answer(request: FastifyRequest, reply: FastifyReply, body: TextBody, model: Model, wish: GenerateOptions): Promise<unknown> {
    const caller = callerOf(request);
    const leave = this.gateway.limits.enter(caller);
    const previews = model.decoding?.preview !== 'PREVIEW_DECODER_NONE';
    const steps = wish.steps ?? model.defaults!.steps;
    const task = this.tasks.begin(caller, body.force_task_id ?? undefined, wish.imageCount!, previews);
    try {
      const signal = AbortSignal.any([abortOnClose(reply, this.gateway.stopping), task.signal]);
      const preview = previews && steps > 1 ? { preview: { everyNSteps: Math.ceil(steps / LIVE_PREVIEWS) } } : {};
      const onEvent = task.onEvent.bind(task);
      const call = { caller, signal, requestId: request.id, onEvent };
      const painting = await this.paintAsRead(call, { ...wish, ...preview });
      this.gateway.metrics.images.inc({ dialect: 'a1111' }, painting.images.length);
      const { width, height } = painting.images[0]!;
      reply.headers({ 'x-stepcast-model': model.id, 'x-stepcast-size': `${width}x${height}` });
      return paintedJson(body, model, painting);
    } finally {
      this.tasks.end(caller, task);
      leave();
    }
  }
}

function paintRoutes(app: FastifyInstance, a1111: A1111): void {
  app.post('/sdapi/v1/txt2img', async (request, reply) => {
    const body = parseBody(TextBody, request.body);
    const target = await a1111.targetOf(request, body);
    return a1111.answer(request, reply, body, target.model, wishOfText(body, target));
  });

  app.post('/sdapi/v1/img2img', async (request, reply) => {
    const body = parseBody(ImageBody, request.body);
    const target = await a1111.targetOf(request, body);
    return a1111.answer(request, reply, body, target.model, wishOfImage(body, target));
  });
}

function listRoutes(app: FastifyInstance, gateway: Gateway, a1111: A1111): void {
  app.get('/sdapi/v1/sd-models', async (request) => (await gateway.upstream.models(callerOf(request))).map(modelJson));
  app.get('/sdapi/v1/samplers', async (request) => samplersJson(await a1111.modelOf(request)));
  app.get('/sdapi/v1/schedulers', async (request) => schedulersJson(await a1111.modelOf(request)));
  app.get('/sdapi/v1/loras', async (request) => {
    const loras = await a1111.lorasOf(request);
    return loras.map((lora) => ({ name: lora.name, alias: lora.name, path: lora.name, metadata: lora }));
  });
  app.get('/sdapi/v1/upscalers', async () => [
    { name: 'None', model_name: null, model_path: null, model_url: null, scale: 1 },
  ]);
  app.get('/sdapi/v1/embeddings', async (request) => {
    const all = (await gateway.upstream.adapters(callerOf(request))).filter(({ kind }) => kind === 'ADAPTER_KIND_EMBEDDING');
    const loaded = all.map(({ name, tokens }) => [name, { step: null, sd_checkpoint: null, sd_checkpoint_name: null, shape: null, vectors: tokens }]);
    return { loaded: Object.fromEntries(loaded), skipped: {} };
  });
  for (const nothing of ['latent-upscale-modes', 'sd-vae', 'sd-modules', 'hypernetworks', 'face-restorers', 'prompt-styles']) {
    app.get(`/sdapi/v1/${nothing}`, async () => []);
  }
}

type TaskQuery = { Querystring: { id_task?: string; task_id?: string; skip_current_image?: string } };

export function a1111Routes(app: FastifyInstance, gateway: Gateway): void {
  const a1111 = new A1111(gateway);
  paintRoutes(app, a1111);
  listRoutes(app, gateway, a1111);

  app.get('/sdapi/v1/options', async (request) => {
    const model = await a1111.modelOf(request);
    return {
      sd_model_checkpoint: titleOf(model.id), sd_checkpoint_hash: model.sha256, sd_vae: 'Automatic', samples_format: 'png',
      CLIP_stop_at_last_layers: a1111.optionsOf(request).CLIP_stop_at_last_layers ?? 1,
    };
  });

  app.post('/sdapi/v1/options', async (request) => {
    const body = parseBody(OptionsBody, request.body);
    const options = { ...a1111.optionsOf(request) };
    if (body.sd_model_checkpoint) options.sd_model_checkpoint = (await a1111.modelOf(request, body.sd_model_checkpoint)).id;
    if (body.CLIP_stop_at_last_layers) options.CLIP_stop_at_last_layers = body.CLIP_stop_at_last_layers;
    a1111.remember(request, options);
    return null;
  });

  app.get<TaskQuery>('/sdapi/v1/progress', async (request) => {
    const { id_task, task_id, skip_current_image: skip } = request.query;
    return a1111.tasks.progress(callerOf(request), id_task ?? task_id, skip !== 'true' && skip !== 'True');
  });

  for (const route of ['interrupt', 'skip']) {
    app.post<TaskQuery>(`/sdapi/v1/${route}`, async (request) => {
      a1111.tasks.interrupt(callerOf(request), request.query.id_task ?? request.query.task_id);
      return {};
    });
  }
}
