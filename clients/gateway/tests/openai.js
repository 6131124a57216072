// The OpenAI images API with the clients that people have.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateImage } from 'ai';
import OpenAI, { toFile } from 'openai';
import { PNG } from 'pngjs';

import { eventsOf, fixture, picture } from './gateways.js';

const PNG_START = 'iVBORw0KGgo';

/** `own`: {gateway, server}, running. */
export function openaiTests(own) {
  const sdk = (options = {}) => new OpenAI({ baseURL: `${own.gateway.origin}/v1`, apiKey: 'none', maxRetries: 0, ...options });

  test('openai: models, and one of them', async () => {
    const ids = [];
    for await (const model of sdk().models.list()) ids.push(model.id);
    assert.deepEqual(ids.slice(0, 3), ['emoji', 'digits', 'gpt-image-1']);
    assert.equal((await sdk().models.retrieve('dall-e-3')).object, 'model');
    await assert.rejects(sdk().models.retrieve('nothing'), (error) =>
      error instanceof OpenAI.NotFoundError && error.code === 'model_not_found' && error.param === 'model');
  });

  test('openai: every auto is taken, and what was chosen is told', async () => {
    const { data, response } = await sdk().images.generate({
      model: 'gpt-image-1', prompt: 'a red apple', n: 1, size: '1024x1536', quality: 'auto', background: 'auto', moderation: 'auto',
      output_format: 'jpeg', output_compression: 80, user: 'somebody', num_inference_steps: 2, seed: 7,
    }).withResponse();
    assert.ok(data.data[0].b64_json.startsWith('/9j/'));
    const [width, height] = data.size.split('x').map(Number);
    assert.ok(width % 8 === 0 && height % 8 === 0 && width < height && width * height < 64 * 64 * 1.2, data.size);
    assert.deepEqual([data.quality, data.output_format, data.background], ['medium', 'jpeg', 'opaque']);
    assert.deepEqual(['model', 'size', 'size-asked'].map((name) => response.headers.get(`x-stepcast-${name}`)), ['emoji', data.size, '1024x1536']);
  });

  test('openai: a seed paints the same; more pictures than one call has are several calls', async () => {
    const body = { model: 'digits', prompt: '7', seed: 40, num_inference_steps: 2 };
    const six = await sdk().images.generate({ ...body, n: 6, response_format: 'b64_json' });
    assert.deepEqual(six.data.map(({ seed }) => seed), [40, 41, 42, 43, 44, 45]);
    const last = await sdk().images.generate({ ...body, seed: 45 });
    const pixels = [six.data[5], last.data[0]].map(({ b64_json }) => PNG.sync.read(Buffer.from(b64_json, 'base64')).data);
    // Free mode: one level, whatever the neighbours.
    assert.ok(pixels[0].every((value, i) => Math.abs(value - pixels[1][i]) <= 1));
  });

  test('openai: quality is steps, as the operator says', async () => {
    const body = { model: 'digits', prompt: '7', seed: 1 };
    const six = await sdk().images.generate({ ...body, num_inference_steps: 6 });
    const low = await sdk().images.generate({ ...body, quality: 'low' });
    assert.equal(low.quality, 'low');
    // Half of the model's twelve.
    const [whole, half] = [six.data[0], low.data[0]].map(({ b64_json }) => PNG.sync.read(Buffer.from(b64_json, 'base64')).data);
    assert.ok(whole.every((value, i) => Math.abs(value - half[i]) <= 1));
  });

  test('openai: a class-conditional model paints the class that the prompt names', async () => {
    const answer = await sdk().images.generate({ model: 'digits', prompt: '7', size: 'auto', num_inference_steps: 2 });
    assert.equal(answer.size, '32x32');
  });

  test('openai: dall-e answers with URLs, signed and for a while', async () => {
    const { data } = await sdk().images.generate({ model: 'dall-e-2', prompt: 'a red apple', n: 1, size: '1024x1024', quality: 'standard', num_inference_steps: 2 });
    const url = new URL(data[0].url);
    assert.equal(url.origin, own.gateway.origin);
    const file = await fetch(url);
    assert.deepEqual([file.status, file.headers.get('content-type')], [200, 'image/png']);
    assert.equal(PNG.sync.read(Buffer.from(await file.arrayBuffer())).width, 64);
    url.searchParams.set('expires', '99999999999');
    assert.equal((await fetch(url)).status, 403);
  });

  test('openai: partial images before the finished one, with the exact fields', async () => {
    const stream = await sdk().images.generate({
      model: 'digits', prompt: '7', stream: true, partial_images: 2, num_inference_steps: 30, seed: 7,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    const types = events.map(({ type }) => type);
    assert.equal(types.at(-1), 'image_generation.completed');
    const partials = events.slice(0, -1);
    assert.ok(partials.length >= 1 && partials.length <= 2 && partials.every(({ type }) => type === 'image_generation.partial_image'));
    const fields = ['b64_json', 'background', 'created_at', 'output_format', 'quality', 'size', 'type'];
    partials.forEach((event, i) => {
      assert.deepEqual(Object.keys(event).sort(), [...fields, 'partial_image_index'].sort());
      assert.equal(event.partial_image_index, i);
      assert.ok(event.b64_json.startsWith(PNG_START));
    });
    assert.deepEqual(Object.keys(events.at(-1)).sort(), [...fields, 'usage'].sort());
    for (const field of ['input_tokens', 'input_tokens_details', 'output_tokens', 'total_tokens']) assert.ok(field in events.at(-1).usage, field);
    assert.equal(events.at(-1).size, '32x32');
  });

  test('openai: the events of a stream are called as their types', async () => {
    const answer = await own.gateway.post('/v1/images/generations', { model: 'digits', prompt: '7', stream: true, n: 2, num_inference_steps: 2 });
    assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
    const events = [];
    for await (const event of eventsOf(answer)) events.push(event);
    assert.deepEqual(events.map(({ event, data }) => [event, data.type]), Array(2).fill(Array(2).fill('image_generation.completed')));
  });

  test('openai: an edit repaints what is transparent in the mask, and nothing else', async () => {
    const first = await sdk().images.generate({ model: 'emoji', prompt: 'a red apple', seed: 7, num_inference_steps: 6 });
    const image = Buffer.from(first.data[0].b64_json, 'base64');
    // The mask has colours, as one that was erased in a picture has; only its alpha counts.
    const mask = picture(64, 64, (x, y) => [255 - x, 3 * y, x, y < 32 ? 255 : 0]);
    const edited = await sdk().images.edit({
      model: 'gpt-image-1', image: await toFile(image, 'apple.png', { type: 'image/png' }), mask: await toFile(mask, 'mask.png', { type: 'image/png' }),
      prompt: 'a lemon', n: 1, size: 'auto', seed: 7, num_inference_steps: 6,
    });
    const [before, after] = [image, Buffer.from(edited.data[0].b64_json, 'base64')].map((bytes) => PNG.sync.read(bytes));
    const change = (from, to) => {
      let sum = 0;
      for (let i = 4 * 64 * from; i < 4 * 64 * to; i += 1) sum += Math.abs(before.data[i] - after.data[i]);
      return sum / (4 * 64 * (to - from));
    };
    // What is kept went through the autoencoder once more; near the edge of the mask cells of 8 pixels are shared.
    assert.ok(change(0, 24) < 8 && change(40, 64) > 3 * change(0, 24), `${change(0, 24)} above, ${change(40, 64)} below`);
  });

  test('openai: edits as JSON, of several shapes of form, and their stream', async () => {
    const image = picture(100, 60, (x, y) => [2 * x, 4 * y, 90, 255]);
    const url = `data:image/png;base64,${image.toString('base64')}`;
    const body = { prompt: 'a lemon', images: [{ image_url: url }], num_inference_steps: 2, stream: true };
    const events = [];
    for await (const { event, data } of eventsOf(await own.gateway.post('/v1/images/edits', body))) events.push([event, data.size]);
    // As many pixels as the model's own, in the picture's proportions.
    assert.deepEqual(events, [['image_edit.completed', '80x48']]);
    const form = new FormData();
    form.append('image[]', new Blob([image], { type: 'image/png' }), 'x.png');
    for (const [name, value] of Object.entries({ prompt: 'a lemon', model: 'emoji', n: '1', size: '64x64', num_inference_steps: '2', response_format: 'b64_json', background: 'auto' })) form.append(name, value);
    const answer = await own.gateway.get('/v1/images/edits', { method: 'POST', body: form });
    assert.equal((await answer.json()).size, '64x64');
    const elsewhere = await own.gateway.post('/v1/images/edits', { prompt: 'a', images: [{ image_url: 'http://127.0.0.1:1/x.png' }] });
    assert.deepEqual([elsewhere.status, (await elsewhere.json()).error.param], [400, 'images[0]']);
    const opaque = await own.gateway.post('/v1/images/edits', { prompt: 'a', images: [{ image_url: url }], mask: { image_url: url } });
    assert.match((await opaque.json()).error.message, /^mask: got one without a transparent pixel/);
  });

  test('openai: control follows a sketch', async () => {
    const sketch = picture(64, 64, (x, y) => (Math.abs(Math.hypot(x - 32, y - 32) - 20) < 2 ? [255, 255, 255, 255] : [0, 0, 0, 255]));
    const body = { prompt: 'a ball', seed: 3, num_inference_steps: 2 };
    const plain = await own.gateway.post('/v1/images/generations', body).then((answer) => answer.json());
    const led = await own.gateway.post('/v1/images/generations', { ...body, control: [{ model: 'emoji-sketch', image: sketch.toString('base64') }] });
    assert.notEqual((await led.json()).data[0].b64_json, plain.data[0].b64_json);
  });

  test('openai: wrong fields are all named', async () => {
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', foo: 1, n: 0 }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.type, 'invalid_request_error');
      assert.deepEqual(error.error.violations.map(({ field }) => field).sort(), ['foo', 'n']);
      return true;
    });
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', num_inference_steps: 151 }), /151; allowed: 1\.\.150/);
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', background: 'transparent' }), { param: 'background' });
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', size: '100x64', size_policy: 'strict' }), { status: 400, param: 'size' });
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', sampler: 'none such' }), /allowed: DPM\+\+ 2M, /);
    // A refusal of a stream has its status, too.
    await assert.rejects(sdk().images.generate({ model: 'emoji', prompt: 'a', stream: true, guidance_scale: 99 }), { status: 400, param: 'guidance_scale' });
    await assert.rejects(sdk().images.createVariation({ image: await toFile(picture(8, 8, () => [0, 0, 0, 255]), 'x.png') }), { status: 501 });
  });

  test('openai: who closes the connection cancels', async () => {
    const abort = new AbortController();
    const requestId = randomUUID();
    const answer = await own.gateway.post('/v1/images/generations',
      { model: 'digits', prompt: '7', stream: true, partial_images: 3, num_inference_steps: 300, n: 4 },
      { signal: abort.signal, headers: { 'x-request-id': requestId } });
    assert.equal(answer.headers.get('x-request-id'), requestId);
    abort.abort();
    assert.equal((await own.server.logged(requestId)).code, 'CANCELLED');
  });

  test('openai: the AI SDK, whose seed goes through its options', async () => {
    const provider = createOpenAICompatible({ name: 'stepcast', baseURL: `${own.gateway.origin}/v1` });
    const paint = () => generateImage({
      model: provider.imageModel('digits'), prompt: '7', n: 1, size: '512x512',
      providerOptions: { stepcast: { seed: 7, num_inference_steps: 2 } },
    });
    const [one, two] = [await paint(), await paint()];
    assert.equal(one.image.mediaType, 'image/png');
    assert.equal(one.image.base64, two.image.base64);
  });

  test('openai: bodies of Open WebUI and LibreChat', async () => {
    for (const name of ['open_webui_generation', 'librechat_generation']) {
      const answer = await own.gateway.post('/v1/images/generations', fixture(name));
      const { data } = await answer.json();
      assert.equal(answer.status, 200);
      assert.ok(data.length === 1 && data[0].b64_json.startsWith(PNG_START) && !('url' in data[0]), name);
    }
  });
}
