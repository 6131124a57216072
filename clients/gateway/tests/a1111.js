// The A1111 API with the bodies that its clients send.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PNG } from 'pngjs';

import { fixture, picture } from './gateways.js';

const basic = (token) => ({ authorization: `Basic ${Buffer.from(`user:${token}`).toString('base64')}` });

async function whole(answer) {
  const json = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(json));
  return json;
}

/** `own`: {gateway, locked, server}, running; `locked` knows the tokens "token-of-a" and "token-of-b". */
export function a1111Tests(own) {
  const get = (path) => own.gateway.get(`/sdapi/v1/${path}`).then(whole);
  const digits = { override_settings: { sd_model_checkpoint: 'digits' } };
  const paint = (body, options) => own.gateway.post('/sdapi/v1/txt2img', body, options).then(whole);

  test('a1111: lists have what clients read', async () => {
    const [model] = await get('sd-models');
    assert.deepEqual([model.title, model.model_name, model.hash.length], ['emoji', 'emoji', 10]);
    const samplers = (await get('samplers')).map(({ name }) => name);
    assert.ok(['Euler a', 'DPM++ 2M', 'DDIM', 'UniPC'].every((name) => samplers.includes(name)) && !samplers.includes('EDM Euler'));
    const schedulers = await get('schedulers');
    assert.ok(schedulers.some(({ name, label }) => name === 'karras' && label === 'Karras'));
    assert.deepEqual((await get('upscalers')).map(({ name }) => name), ['None']);
    for (const empty of ['latent-upscale-modes', 'sd-vae', 'sd-modules']) assert.deepEqual(await get(empty), [], empty);
    assert.deepEqual((await get('loras')).map(({ name }) => name), ['emoji-line-art']);
    assert.equal((await get('options')).sd_model_checkpoint, 'emoji');
  });

  test('a1111: a LoRA in a prompt is painted with, as OpenAI\'s extension does', async () => {
    const body = { prompt: 'a red apple', steps: 4, seed: 5 };
    const plain = await paint(body);
    const lines = await paint({ ...body, prompt: 'a red apple <lora:emoji-line-art:0.8>' });
    assert.notEqual(lines.images[0], plain.images[0]);
    assert.match(JSON.parse(lines.info).prompt, /<lora:emoji-line-art:0\.8>$/);
    const theirs = await own.gateway.post('/v1/images/generations', {
      prompt: 'a red apple', num_inference_steps: 4, seed: 5, prompt_syntax: 'a1111', loras: [{ name: 'emoji-line-art', scale: 0.8 }],
    }).then(whole);
    const pixels = (base64) => PNG.sync.read(Buffer.from(base64, 'base64')).data;
    assert.deepEqual(pixels(theirs.data[0].b64_json), pixels(lines.images[0]));
    const lost = await own.gateway.post('/sdapi/v1/txt2img', { prompt: 'a <lora:none-such:1>' });
    assert.deepEqual([lost.status, (await lost.json()).error], [404, 'LORA_NOT_FOUND']);
  });

  test('a1111: bodies of Open WebUI, LibreChat and SillyTavern', async () => {
    for (const name of ['open_webui_txt2img', 'librechat_txt2img', 'sillytavern_txt2img', 'sillytavern_sdcpp_txt2img']) {
      const body = fixture(name);
      const { images, info } = await paint(body);
      assert.equal(PNG.sync.read(Buffer.from(images[0], 'base64')).width, 64, name);
      const told = JSON.parse(info);
      assert.deepEqual([told.width, told.height, told.prompt, told.steps], [64, 64, 'a red apple', body.steps], name);
      assert.match(told.infotexts[0], /^a red apple\n.*Steps: \d+, Sampler: .*, Seed: \d+, Size: 64x64/s, name);
    }
  });

  test('a1111: names of samplers both ways, and seeds', async () => {
    const cases = [
      [{ sampler_name: 'DPM++ 2M', scheduler: 'Karras' }, 'DPM++ 2M', 'Karras'], [{ sampler_name: 'DPM++ 2M Karras' }, 'DPM++ 2M', 'Karras'],
      [{ sampler_index: 'Euler a' }, 'Euler a', 'Default'], [{ sampler_name: 'k_euler' }, 'Euler', 'Default'],
    ];
    for (const [names, sampler, scheduler] of cases) {
      const { info } = await paint({ prompt: '7', steps: 2, seed: 11, batch_size: 2, ...digits, ...names });
      const told = JSON.parse(info);
      assert.deepEqual([told.sampler_name, told.scheduler, told.seed, told.all_seeds], [sampler, scheduler, 11, [11, 12]]);
    }
    const unknown = await own.gateway.post('/sdapi/v1/txt2img', { prompt: 'a', sampler_name: 'None such' });
    assert.equal(unknown.status, 422);
    assert.match((await unknown.json()).detail, /sampler_name: got "None such"; allowed: DPM\+\+ 2M, /);
  });

  test('a1111: what is not heeded is told, and what the server refuses is refused', async () => {
    const { info } = await paint({ prompt: '7', ...digits, steps: 2, enable_hr: true, restore_faces: false, styles: [], tiling: true });
    assert.deepEqual(JSON.parse(info).ignored, ['enable_hr', 'tiling']);
    const refused = await own.gateway.post('/sdapi/v1/txt2img', { ...digits, prompt: '7', steps: 0 });
    assert.deepEqual([refused.status, (await refused.json()).violations[0].field], [422, 'steps']);
  });

  test('a1111: image to image, masks, and ControlNet units', async () => {
    const image = picture(64, 64, (x, y) => [4 * x, 4 * y, 90, 255]).toString('base64');
    const mask = picture(64, 64, (x) => (x < 16 ? [255, 255, 255, 255] : [0, 0, 0, 255])).toString('base64');
    const body = { prompt: 'a lemon', steps: 2, seed: 5, init_images: [`data:image/png;base64,${image}`], mask, mask_blur: 0, denoising_strength: 1 };
    // A1111's default: only what is around the mask is painted, and the rest keeps its very pixels.
    const { images } = await own.gateway.post('/sdapi/v1/img2img', body).then(whole);
    const pixels = PNG.sync.read(Buffer.from(images[0], 'base64')).data;
    for (let x = 16; x < 64; x += 1) assert.deepEqual([...pixels.subarray(4 * x, 4 * x + 3)], [4 * x, 0, 90]);
    assert.notDeepEqual([...pixels.subarray(0, 12)], [0, 0, 90, 255, 4, 0, 90, 255, 8, 0, 90, 255]);
    const controlnet = { args: [{ enabled: true, module: 'none', model: 'emoji-sketch [1a2b3c4d]', image: { image: mask }, weight: 0.5 }] };
    const led = await paint({ prompt: 'a', steps: 2, seed: 5, alwayson_scripts: { controlnet } });
    assert.notEqual(led.images[0], (await paint({ prompt: 'a', steps: 2, seed: 5 })).images[0]);
    const unknown = await own.gateway.post('/sdapi/v1/txt2img', { prompt: 'a', alwayson_scripts: { controlnet: { args: [{ module: 'canny', image }] } } });
    assert.equal(unknown.status, 422);
  });

  test('a1111: options are each client\'s own', async () => {
    const as = (token, path, body) => (body === undefined ? own.locked.get(path, { headers: basic(token) }) : own.locked.post(path, body, { headers: basic(token) }));
    const whose = async (token) => (await as(token, '/sdapi/v1/options').then(whole)).sd_model_checkpoint;
    assert.equal(await as('token-of-a', '/sdapi/v1/options', { ...await as('token-of-a', '/sdapi/v1/options').then(whole), sd_model_checkpoint: 'digits' }).then(whole), null);
    assert.deepEqual([await whose('token-of-a'), await whose('token-of-b')], ['digits', 'emoji']);
    const { info } = await as('token-of-a', '/sdapi/v1/txt2img', { prompt: '3', steps: 2 }).then(whole);
    assert.equal(JSON.parse(info).sd_model_name, 'digits');
    assert.equal((await as('token-of-a', '/sdapi/v1/options', { sd_model_checkpoint: 'none' })).status, 404);
  });

  test('a1111: progress and interrupt see nobody else\'s work', async () => {
    const body = { ...digits, prompt: '7', steps: 300, batch_size: 4, force_task_id: 'task-1' };
    const painting = own.locked.post('/sdapi/v1/txt2img', body, { headers: basic('token-of-b') });
    const progress = (token, query = '') => own.locked.get(`/sdapi/v1/progress${query}`, { headers: basic(token) }).then(whole);
    let seen = await progress('token-of-b');
    for (; seen.progress === 0 || seen.current_image === null; seen = await progress('token-of-b', '?id_task=task-1'));
    assert.ok(seen.progress < 1 && seen.state.job_count === 4 && seen.state.sampling_steps === 300 && seen.eta_relative > 0);
    assert.deepEqual([await progress('token-of-a'), await progress('token-of-b', '?id_task=task-2')].map((other) => [other.progress, other.state.job_count]), [[0, 0], [0, 0]]);
    const interrupt = (token) => own.locked.post('/sdapi/v1/interrupt', {}, { headers: basic(token) }).then(whole);
    await interrupt('token-of-a');
    assert.equal((await progress('token-of-b')).state.job_count, 4);
    await interrupt('token-of-b');
    const answer = await painting;
    assert.deepEqual([answer.status, (await answer.json()).error], [409, 'INTERRUPTED']);
    assert.equal((await progress('token-of-b')).state.job_count, 0);
  });

  test('a1111: OPTIONS and HEAD are answered', async () => {
    assert.equal((await own.locked.get('/v1/images/generations', { method: 'OPTIONS' })).status, 204);
    assert.equal((await own.gateway.get('/', { method: 'HEAD' })).status, 200);
  });
}
