// What the gateway makes of servers that say exactly what a test wants.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { Server, ServerCredentials } from '@grpc/grpc-js';

import { BadRequest } from '../../node/dist/gen/google/rpc/error_details.js';
import { Status } from '../../node/dist/gen/google/rpc/status.js';
import { GenerateRequest, GenerateResponse, GetServerInfoResponse, ListModelsResponse } from '../../node/dist/gen/stepcast/v1/image_generation.js';
import { ListAdaptersResponse } from '../../node/dist/gen/stepcast/v1/adapters.js';
import { addressOfNobody, refusal } from '../../node/tests/servers.js';
import { eventsOf, openGateway, startGateway } from './gateways.js';

const MODEL = {
  id: 'm', isDefault: true, conditioning: 'CONDITIONING_KIND_TEXT', limits: { sizeMultiple: 8, minSide: 8, maxSide: 64, maxArea: 4096, maxSteps: 50 },
  defaults: { width: 64, height: 64, steps: 4 }, decoding: { preview: 'PREVIEW_DECODER_LINEAR' },
};
const asIs = (bytes) => bytes;

const LORAS = [
  { name: 'both', kind: 'ADAPTER_KIND_LORA', models: ['m'], changesDenoiser: true, changesTextEncoders: true },
  { name: 'wordless', kind: 'ADAPTER_KIND_LORA', models: ['m'], changesDenoiser: true },
];

/** Answers Generate with what `generate(call)` does; lists one model and two LoRAs. */
async function startFake(generate) {
  const calls = [];
  const server = new Server();
  const unary = (name, type, answer) => ({
    path: `/stepcast.v1.ImageGenerationService/${name}`, requestStream: false, responseStream: false, requestSerialize: asIs, requestDeserialize: asIs,
    responseSerialize: () => Buffer.from(type.encode(type.fromPartial(answer)).finish()), responseDeserialize: asIs,
  });
  server.addService({
    listModels: unary('ListModels', ListModelsResponse, { models: [MODEL] }),
    getServerInfo: unary('GetServerInfo', GetServerInfoResponse, { state: 'SERVING_STATE_SERVING', limits: { maxImageCount: 4, maxPromptChunks: 4, maxInputPicturePixels: 10000 } }),
    listAdapters: unary('ListAdapters', ListAdaptersResponse, { adapters: LORAS }),
    generate: {
      path: '/stepcast.v1.ImageGenerationService/Generate', requestStream: false, responseStream: true, requestSerialize: asIs,
      requestDeserialize: (bytes) => GenerateRequest.decode(bytes),
      responseSerialize: (message) => Buffer.from(GenerateResponse.encode(GenerateResponse.fromPartial(message)).finish()), responseDeserialize: asIs,
    },
  }, {
    listModels: (_, reply) => reply(null, {}),
    getServerInfo: (_, reply) => reply(null, {}),
    listAdapters: (_, reply) => reply(null, {}),
    generate: (call) => {
      calls.push(call);
      call.on('error', () => undefined);
      generate(call);
    },
  });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { address: `127.0.0.1:${port}`, calls, stop: () => server.forceShutdown() };
}

async function withFake(generate, settings, body) {
  const server = await startFake(generate);
  const gateway = await openGateway(server.address, settings);
  try {
    await body(gateway, server);
  } finally {
    server.stop();
    await gateway.stop();
  }
}

function wrongField(field) {
  const error = refusal('INVALID_ARGUMENT', 'FIELD_INVALID');
  const status = Status.decode(error.metadata.get('grpc-status-details-bin')[0]);
  const value = Buffer.from(BadRequest.encode({ fieldViolations: [{ field, description: 'got it' }] }).finish());
  status.details.push({ typeUrl: 'type.googleapis.com/google.rpc.BadRequest', value });
  error.metadata.set('grpc-status-details-bin', Buffer.from(Status.encode(status).finish()));
  return error;
}

const accepted = (call) => call.write({ sequence: 0, accepted: { request: { ...call.request, seed: 1, imageCount: 1 } } });

test('errors of the server, in every dialect', async () => {
  const cases = [
    [() => refusal('RESOURCE_EXHAUSTED', 'QUEUE_FULL', { delayMs: 2500 }), 429, 'rate_limit_exceeded', '3'],
    [() => refusal('UNAVAILABLE', 'MODEL_FAILED', { delayMs: 60_000 }), 503, 'model_failed', '60'],
    [() => refusal('DEADLINE_EXCEEDED', 'DEADLINE'), 504, 'deadline', null],
    [() => refusal('UNAUTHENTICATED', 'TOKEN_INVALID'), 401, 'invalid_api_key', null],
    [() => refusal('PERMISSION_DENIED', 'MODEL_FORBIDDEN'), 403, 'model_forbidden', null],
    [() => refusal('NOT_FOUND', 'LORA_NOT_FOUND'), 404, 'lora_not_found', null],
    [() => refusal('INTERNAL', 'NUMERIC_FAULT'), 500, 'numeric_fault', null],
    [() => refusal('UNIMPLEMENTED', ''), 501, 'unimplemented', null],
  ];
  let next;
  await withFake((call) => call.emit('error', next()), { RETRY_MAX_WAIT: '0ms' }, async (gateway) => {
    for (const [make, status, code, retryAfter] of cases) {
      next = make;
      for (const stream of [false, true]) {
        const answer = await gateway.post('/v1/images/generations', { prompt: 'a', stream });
        const { error } = await answer.json();
        assert.deepEqual([answer.status, error.code, answer.headers.get('retry-after')], [status, code, retryAfter]);
        assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
      }
      assert.equal((await gateway.post('/sdapi/v1/txt2img', { prompt: 'a' })).status, status);
      const { value: { event, data } } = await eventsOf(await gateway.post('/api/paint', { prompt: 'a' })).next();
      assert.equal(event, 'error');
      assert.ok(data.status);
    }
  });
});

test('nobody there: 503, and not ready', async () => {
  const gateway = await openGateway(await addressOfNobody(), { RETRY_ROUNDS: '1' });
  assert.equal((await gateway.post('/v1/images/generations', { prompt: 'a' })).status, 503);
  assert.equal((await gateway.get('/readyz')).status, 503);
  assert.equal((await gateway.get('/healthz')).status, 200);
  await gateway.stop();
});

test('who asks goes on to the server: token, tenant, request id, model', async () => {
  const tokens = JSON.stringify([{ token: 'token-of-a', tenant: 'a', upstream_token: 'token-upstream' }]);
  const refuse = (call) => call.emit('error', refusal('INTERNAL', 'ENGINE_ERROR'));
  await withFake(refuse, { AUTH_MODE: 'tokens', AUTH_TOKENS: tokens }, async (gateway, server) => {
    await gateway.post('/v1/images/generations', { prompt: 'a' }, { headers: { authorization: 'Bearer token-of-a', 'x-request-id': 'mine' } });
    const sent = server.calls[0].metadata.getMap();
    assert.deepEqual(['authorization', 'x-stepcast-tenant', 'x-request-id', 'x-stepcast-model'].map((key) => sent[key]), ['Bearer token-upstream', 'a', 'mine', 'm']);
  });
  await withFake(refuse, { AUTH_MODE: 'passthrough' }, async (gateway, server) => {
    await gateway.post('/sdapi/v1/txt2img', { prompt: 'a' }, { headers: { authorization: `Basic ${Buffer.from('x:their-own').toString('base64')}` } });
    assert.equal(server.calls[0].metadata.getMap().authorization, 'Bearer their-own');
    assert.equal((await gateway.get('/v1/models')).status, 401);
  });
});

test('a stream is never silent for longer than the heartbeat', async () => {
  await withFake(accepted, { HEARTBEAT: '100ms' }, async (gateway) => {
    for (const [path, body] of [['/v1/images/generations', { prompt: 'a', stream: true }], ['/api/paint', { prompt: 'a' }]]) {
      const abort = new AbortController();
      const answer = await gateway.post(path, body, { signal: abort.signal });
      let text = '';
      for await (const bytes of answer.body.pipeThrough(new TextDecoderStream())) {
        text += bytes;
        if (text.split('\n: ').length >= 3) break;
      }
      abort.abort();
    }
  });
});

test('a stream that fails half-way is cut: no SDK takes it for whole', async () => {
  const fail = (call) => {
    accepted(call);
    call.emit('error', refusal('INTERNAL', 'NUMERIC_FAULT'));
  };
  await withFake(fail, {}, async (gateway) => {
    const answer = await gateway.post('/v1/images/generations', { prompt: 'a', stream: true });
    await assert.rejects(answer.text());
  });
});

test('limits of the gateway: bodies, calls of a client', async () => {
  await withFake(accepted, { LIMITS_MAX_BODY_BYTES: '1KiB', LIMITS_MAX_CALLS_PER_CLIENT: '1' }, async (gateway) => {
    const large = await gateway.post('/v1/images/generations', { prompt: 'a'.repeat(2000) });
    assert.deepEqual([large.status, (await large.json()).error.code], [413, 'body_too_large']);
    const form = new FormData();
    form.append('image', new Blob([Buffer.alloc(4000)]), 'x.png');
    assert.equal((await gateway.get('/v1/images/edits', { method: 'POST', body: form })).status, 413);
    const abort = new AbortController();
    await gateway.post('/api/paint', { prompt: 'a' }, { signal: abort.signal });
    const more = await gateway.post('/v1/images/generations', { prompt: 'a' });
    assert.deepEqual([more.status, more.headers.get('retry-after')], [429, '1']);
    abort.abort();
    // What was left is given back.
    for (;; await wait(5)) {
      const again = new AbortController();
      const answer = await gateway.post('/api/paint', { prompt: 'a' }, { signal: again.signal });
      again.abort();
      if (answer.status === 200) break;
    }
  });
});

test('a server that does not read A1111\'s prompts paints them as they stand', async () => {
  const bytes = Buffer.from('a picture');
  const image = {
    totalBytes: bytes.length, data: bytes, mime: 'image/png', width: 8, height: 8, seed: 1, sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  const paint = (call) => {
    if (call.request.promptSyntax === 'PROMPT_SYNTAX_A1111') {
      call.emit('error', wrongField('prompt_syntax'));
      return;
    }
    accepted(call);
    call.write({ sequence: 1, imageChunk: image });
    call.write({ sequence: 2, completed: {} });
    call.end();
  };
  await withFake(paint, {}, async (gateway, server) => {
    const answer = await gateway.post('/sdapi/v1/txt2img', { prompt: '(a:1.2)' });
    assert.equal(answer.status, 200);
    assert.match(JSON.parse((await answer.json()).info).warnings[0], /does not read the syntax of A1111/);
    assert.deepEqual(server.calls.map(({ request }) => request.promptSyntax), ['PROMPT_SYNTAX_A1111', 'PROMPT_SYNTAX_UNSPECIFIED']);
  });
});

test('LoRAs: those of A1111\'s prompts and OpenAI\'s extension are the contract\'s', async () => {
  await withFake((call) => call.emit('error', refusal('INTERNAL', 'ENGINE_ERROR')), {}, async (gateway, server) => {
    const list = await gateway.get('/sdapi/v1/loras').then((answer) => answer.json());
    assert.deepEqual(list.map(({ name, alias, path }) => [name, alias, path]), [['both', 'both', 'both'], ['wordless', 'wordless', 'wordless']]);
    // A weight for text encoders that a LoRA does not change is passed over, as there.
    await gateway.post('/sdapi/v1/txt2img', { prompt: 'a cat <lora:both:0.5:0.8> <lora:wordless:0.5:0.8>', negative_prompt: 'b <lora:both:1>' });
    await gateway.post('/v1/images/generations', { prompt: 'a cat', loras: [{ name: 'both', scale: 0.8, text_scale: 0.5 }, { name: 'wordless' }] });
    const asked = server.calls.map(({ request: { prompt, negativePrompt, loras } }) => [prompt, negativePrompt, loras.map(({ name, scale, textScale }) => [name, scale, textScale])]);
    assert.deepEqual(asked, [
      ['a cat', 'b', [['both', 0.8, 0.5], ['wordless', 0.8, undefined]]], ['a cat', undefined, [['both', 0.8, 0.5], ['wordless', undefined, undefined]]],
    ]);
  });
});

test('what was used is told: words that were read, work that was done', async () => {
  const bytes = Buffer.from('a picture');
  const image = {
    totalBytes: bytes.length, data: bytes, mime: 'image/png', width: 8, height: 8, sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  let tells = true;
  const paint = (call) => {
    const { request } = call;
    const prompts = [{ field: 'prompt', tokens: 3, chunks: 1 }, { field: 'negative_prompt', tokens: 2, chunks: 1 }];
    call.write({ sequence: 0, accepted: { request: { ...request, seed: request.seed ?? 1 }, prompts } });
    for (let i = 0; i < request.imageCount; ++i) call.write({ sequence: i + 1, imageChunk: { ...image, imageIndex: i, seed: i } });
    const cost = tells ? { rowEvaluations: 8 * request.imageCount, deviceSeconds: 0.25 } : undefined;
    call.write({ sequence: request.imageCount + 1, completed: { cost } });
    call.end();
  };
  await withFake(paint, {}, async (gateway) => {
    // The server paints four at once, so this is two calls.
    const body = { prompt: 'a red apple', negative_prompt: 'ugly blur', n: 6, seed: 7 };
    const all = { input_tokens: 5, input_tokens_details: { image_tokens: 0, text_tokens: 5 }, output_tokens: 0, total_tokens: 5 };
    const work = { row_evaluations: 48, device_seconds: 0.5 };
    const { usage } = await gateway.post('/v1/images/generations', body).then((answer) => answer.json());
    assert.deepEqual(usage, { ...all, ...work });
    const streamed = [];
    for await (const { data } of eventsOf(await gateway.post('/v1/images/generations', { ...body, n: 2, stream: true }))) streamed.push(data.usage);
    assert.deepEqual(streamed.map((each) => [each.input_tokens, each.row_evaluations]), [[0, undefined], [5, 16]]);
    const job = await gateway.post('/v1/jobs', body).then((answer) => answer.json());
    assert.equal(job.usage, null);
    let last;
    for await (const { data } of eventsOf(await gateway.get(job.events_url))) last = data;
    assert.deepEqual(last.usage, { text_tokens: 5, ...work });
    const { info } = await gateway.post('/sdapi/v1/txt2img', { prompt: 'a', batch_size: 2 }).then((answer) => answer.json());
    assert.deepEqual(JSON.parse(info).usage, { text_tokens: 5, row_evaluations: 16, device_seconds: 0.25 });
    const events = [];
    for await (const event of eventsOf(await gateway.post('/api/paint', { prompt: 'a', imageCount: 1 }))) events.push(event);
    assert.deepEqual([events[0].data.prompts.length, events.at(-1).data.cost], [2, { rowEvaluations: '8', deviceSeconds: 0.25 }]);
    tells = false;
    assert.deepEqual((await gateway.post('/v1/images/generations', body).then((answer) => answer.json())).usage, all);
  });
});

test('SIGTERM lets a call end, takes no other, and a second one cancels', async () => {
  let finish;
  const server = await startFake((call) => {
    accepted(call);
    finish = () => call.emit('error', refusal('INTERNAL', 'ENGINE_ERROR'));
  });
  const gateway = await startGateway(server.address);
  const ticks = await gateway.get('/api/session');
  const answer = await gateway.post('/api/paint', { prompt: 'a' });
  const events = eventsOf(answer);
  assert.equal((await events.next()).value.event, 'accepted');
  const stopped = gateway.stop();
  // Who only watches is let go at once.
  await ticks.text();
  await assert.rejects(gateway.get('/healthz').then((late) => assert.equal(late.status, 200)));
  finish();
  assert.equal((await events.next()).value.event, 'error');
  assert.equal(await stopped, 0);
  server.stop();
});
