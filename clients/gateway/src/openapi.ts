// The OpenAPI document: what the gateway answers, for programs. A test compares it with the routes that there are.
import { z } from 'zod';

import { ImageBody, OptionsBody, TextBody } from './a1111/schema.js';
import { EditBody, GenerationBody } from './openai/schema.js';

type Json = Record<string, unknown>;

interface Operation {
  id: string;
  tag: 'OpenAI images' | 'Jobs' | 'A1111' | 'Page' | 'Operation';
  summary: string;
  /** Name in components.schemas; `form`: it may come as a form, too. */
  body?: { schema: string; form?: boolean };
  answer?: { schema?: string; type?: string; code?: number; description?: string };
  query?: Record<string, string>;
  open?: boolean;
}

const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
};
const object = (properties: Json, description: string): Json => ({ type: 'object', description, properties });
const list = (items: Json): Json => ({ type: 'array', items });
const text = { type: 'string' };
const integer = { type: 'integer' };
const anything: Json = { type: 'object' };
const took = { row_evaluations: integer, device_seconds: { type: 'number' } };

const SCHEMAS: Record<string, Json> = {
  GenerationBody: schemaOf(GenerationBody),
  EditBody: schemaOf(EditBody),
  JobBody: { anyOf: [{ $ref: '#/components/schemas/GenerationBody' }, { $ref: '#/components/schemas/EditBody' }] },
  Images: object({
    created: integer, background: text, output_format: text, quality: text, size: text, model: text, warnings: list(text),
    data: list(object({ b64_json: text, url: text, seed: integer }, 'A picture.')),
    usage: object({ input_tokens: integer, input_tokens_details: anything, output_tokens: integer, total_tokens: integer, ...took }, 'Words read, work done.'),
  }, 'The pictures, and what was chosen for them.'),
  ModelList: object({ object: text, data: list(anything) }, 'Models and aliases.'),
  OpenAIModel: object({ id: text, object: text, created: integer, owned_by: text }, 'A model or an alias.'),
  Job: object({
    id: text, object: text, status: { type: 'string', enum: ['queued', 'running', 'succeeded', 'failed', 'cancelled'] }, model: text,
    progress: { type: 'number', minimum: 0, maximum: 1 }, queue_position: integer, created_at: integer,
    finished_at: { type: ['integer', 'null'] }, poll_url: text, events_url: text, preview_url: { type: ['string', 'null'] },
    images: list(anything), warnings: list(text), usage: { type: ['object', 'null'], properties: { text_tokens: integer, ...took } }, error: { type: ['object', 'null'] },
  }, 'How a job is.'),
  JobList: object({ object: text, data: list({ $ref: '#/components/schemas/Job' }) }, 'The jobs of the caller.'),
  TextBody: schemaOf(TextBody),
  ImageBody: schemaOf(ImageBody),
  OptionsBody: schemaOf(OptionsBody),
  Painted: object({ images: list(text), parameters: anything, info: text }, 'Pictures as base64; `info` is a text of JSON.'),
  GenerateRequest: { type: 'object', description: 'stepcast.v1.GenerateRequest in proto JSON.' },
  Message: { type: 'object', description: 'A message of stepcast.v1 in proto JSON.' },
  List: list(anything),
  Error: object({ error: anything }, 'What failed.'),
};

const EVENTS = 'text/event-stream';
const OPERATIONS: Record<string, Record<string, Operation>> = {
  '/v1/images/generations': {
    post: { id: 'generate', tag: 'OpenAI images', summary: 'Paints pictures', body: { schema: 'GenerationBody' }, answer: { schema: 'Images' } },
  },
  '/v1/images/edits': {
    post: { id: 'edit', tag: 'OpenAI images', summary: 'Repaints a picture', body: { schema: 'EditBody', form: true }, answer: { schema: 'Images' } },
  },
  '/v1/images/variations': {
    post: { id: 'vary', tag: 'OpenAI images', summary: 'Not offered', answer: { code: 501, schema: 'Error' } },
  },
  '/v1/models': { get: { id: 'listModels', tag: 'OpenAI images', summary: 'Models and aliases', answer: { schema: 'ModelList' } } },
  '/v1/models/{id}': { get: { id: 'getModel', tag: 'OpenAI images', summary: 'One of them', answer: { schema: 'OpenAIModel' } } },
  '/v1/jobs': {
    post: { id: 'submitJob', tag: 'Jobs', summary: 'Begins a job', body: { schema: 'JobBody' }, answer: { code: 202, schema: 'Job' } },
    get: { id: 'listJobs', tag: 'Jobs', summary: 'The jobs of the caller', answer: { schema: 'JobList' } },
  },
  '/v1/jobs/{id}': {
    get: { id: 'getJob', tag: 'Jobs', summary: 'How a job is', answer: { schema: 'Job' } },
    delete: { id: 'deleteJob', tag: 'Jobs', summary: 'Cancels a job', answer: { schema: 'Job' } },
  },
  '/v1/jobs/{id}/cancel': { post: { id: 'cancelJob', tag: 'Jobs', summary: 'Cancels a job', answer: { schema: 'Job' } } },
  '/v1/jobs/{id}/events': { get: { id: 'watchJob', tag: 'Jobs', summary: 'How it goes on', answer: { type: EVENTS } } },
  '/v1/jobs/{id}/preview': { get: { id: 'previewJob', tag: 'Jobs', summary: 'The unfinished picture', answer: { type: 'image/jpeg' } } },
  '/v1/jobs/{id}/images/{index}': { get: { id: 'getJobImage', tag: 'Jobs', summary: 'A picture', answer: { type: 'image/png' } } },
  '/files/{name}': { get: { id: 'getFile', tag: 'OpenAI images', summary: 'A picture behind a signed URL', open: true, answer: { type: 'image/png' }, query: { expires: 'Unix time.', signature: 'Of this gateway.' } } },
  '/sdapi/v1/txt2img': { post: { id: 'txt2img', tag: 'A1111', summary: 'Paints', body: { schema: 'TextBody' }, answer: { schema: 'Painted' } } },
  '/sdapi/v1/img2img': { post: { id: 'img2img', tag: 'A1111', summary: 'Repaints', body: { schema: 'ImageBody' }, answer: { schema: 'Painted' } } },
  '/sdapi/v1/options': {
    get: { id: 'getOptions', tag: 'A1111', summary: 'What this client has set', answer: { schema: 'Message' } },
    post: { id: 'setOptions', tag: 'A1111', summary: 'Sets it, for this client', body: { schema: 'OptionsBody' } },
  },
  '/sdapi/v1/progress': { get: { id: 'progress', tag: 'A1111', summary: 'Of this client\'s task', answer: { schema: 'Message' }, query: { id_task: 'Of force_task_id.', skip_current_image: 'true: no picture.' } } },
  '/sdapi/v1/interrupt': { post: { id: 'interrupt', tag: 'A1111', summary: 'Cancels this client\'s tasks', answer: { schema: 'Message' }, query: { id_task: 'Only this one.' } } },
  '/sdapi/v1/skip': { post: { id: 'skip', tag: 'A1111', summary: 'The same', answer: { schema: 'Message' } } },
  '/sdapi/v1/embeddings': { get: { id: 'embeddings', tag: 'A1111', summary: 'Textual inversions', answer: { schema: 'Message' } } },
  ...Object.fromEntries([
    'sd-models', 'samplers', 'schedulers', 'loras', 'upscalers', 'latent-upscale-modes', 'sd-vae', 'sd-modules', 'hypernetworks',
    'face-restorers', 'prompt-styles',
  ].map((name) => [`/sdapi/v1/${name}`, { get: { id: name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()), tag: 'A1111' as const, summary: `The ${name} there are`, answer: { schema: 'List' } } }])),
  '/api/models': { get: { id: 'pageModels', tag: 'Page', summary: 'All models', answer: { schema: 'Message' } } },
  '/api/server': { get: { id: 'pageServer', tag: 'Page', summary: 'The server', answer: { schema: 'Message' } } },
  '/api/adapters': { get: { id: 'pageAdapters', tag: 'Page', summary: 'All adapters', answer: { schema: 'Message' } } },
  '/api/schedule': { get: { id: 'pageSchedule', tag: 'Page', summary: 'The schedule', answer: { schema: 'Message' } } },
  '/api/ticks': { get: { id: 'pageTicks', tag: 'Page', summary: 'Every tick', answer: { type: EVENTS }, query: { device: 'Only of this one.' } } },
  '/api/paint': { post: { id: 'pagePaint', tag: 'Page', summary: 'Paints, event by event', body: { schema: 'GenerateRequest' }, answer: { type: EVENTS } } },
  '/api/session': { get: { id: 'pageSession', tag: 'Page', summary: 'Events of many calls on one connection', answer: { type: EVENTS } } },
  '/api/session/{session}/{name}': {
    post: { id: 'pageSessionPaint', tag: 'Page', summary: 'Paints, with its events on the session', body: { schema: 'GenerateRequest' }, answer: { code: 202, schema: 'Message' } },
    delete: { id: 'pageSessionCancel', tag: 'Page', summary: 'Cancels that', answer: { code: 204 } },
  },
  '/healthz': { get: { id: 'alive', tag: 'Operation', summary: 'Alive', open: true, answer: { schema: 'Message' } } },
  '/readyz': { get: { id: 'ready', tag: 'Operation', summary: 'Takes work', open: true, answer: { schema: 'Message' } } },
  '/metrics': { get: { id: 'metrics', tag: 'Operation', summary: 'For Prometheus', open: true, answer: { type: 'text/plain' } } },
  '/openapi.json': { get: { id: 'openapi', tag: 'Operation', summary: 'This document', open: true, answer: { schema: 'Message' } } },
};

function operationJson(path: string, { id, tag, summary, body, answer = {}, query = {}, open }: Operation): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: text }));
  const inQuery = Object.entries(query).map(([name, description]) => ({ name, in: 'query', description, schema: text }));
  const schema = answer.schema === undefined ? text : { $ref: `#/components/schemas/${answer.schema}` };
  const bodySchema = { schema: { $ref: `#/components/schemas/${body?.schema}` } };
  return {
    operationId: id, tags: [tag], summary, parameters: [...inPath, ...inQuery],
    ...(open ? { security: [] } : {}),
    ...(body === undefined ? {} : {
      requestBody: { required: true, content: { 'application/json': bodySchema, ...(body.form ? { 'multipart/form-data': bodySchema } : {}) } },
    }),
    responses: {
      [answer.code ?? 200]: { description: summary, content: { [answer.type ?? 'application/json']: { schema } } },
      ...(answer.code === 501 ? {} : {
        '4XX': { description: 'Refused; with 429 and 503 Retry-After tells when again.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
      }),
    },
  };
}

export function openapiDocument(version: string): Json {
  const paths = Object.fromEntries(Object.entries(OPERATIONS).map(([path, methods]) =>
    [path, Object.fromEntries(Object.entries(methods).map(([method, operation]) => [method, operationJson(path, operation)]))]));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Stepcast gateway', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: 'HTTP in front of Stepcast: the OpenAI images API, jobs, the A1111 API, and what the page asks.',
    },
    servers: [{ url: '/' }],
    tags: ['OpenAI images', 'Jobs', 'A1111', 'Page', 'Operation'].map((name) => ({ name })),
    security: [{}, { bearer: [] }, { basic: [] }],
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, basic: { type: 'http', scheme: 'basic' } },
    },
  };
}
