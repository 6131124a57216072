// What needs no server: configuration, sizes, names, masks, callers, files.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { PNG } from 'pngjs';

import { takeLoras } from '../dist/a1111/wish.js';
import { buildApp } from '../dist/app.js';
import { Callers } from '../dist/callers.js';
import { loadConfig } from '../dist/config.js';
import { Files } from '../dist/files.js';
import { Limits } from '../dist/limits.js';
import { openapiDocument } from '../dist/openapi.js';
import { chooseModel, chooseSize } from '../dist/paint/model_choice.js';
import { maskFromAlpha, pngText, sizeOf } from '../dist/paint/pictures.js';
import { chooseSampler, SAMPLER_NAMES, samplerName } from '../dist/paint/samplers.js';
import { picture } from './gateways.js';

const variables = (given) => Object.fromEntries(Object.entries(given).map(([key, value]) => [`STEPCAST_GATEWAY_${key}`, value]));
const limits = { sizeMultiple: 8, minSide: 30, maxSide: 260, maxArea: 65536 };
const model = (id, isDefault = false) => ({ id, isDefault, limits, defaults: { width: 64, height: 64 } });

test('configuration: the environment wins over the file, and both are checked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stepcast_gateway_'));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, 'server: a:1\nlisten: {port: 9000}\nlimits: {max_body_bytes: 1MiB}\naliases: {pony: emoji}\nheartbeat: 5s\n');
  const config = loadConfig(variables({ CONFIG: file, SERVER: 'b:2', LISTEN_HOST: '0.0.0.0', JOBS_TTL: '2m', TRUST_PROXY: 'true' }));
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 9000, port_file: '' });
  assert.deepEqual([config.server, config.limits.max_body_bytes, config.jobs.ttl, config.heartbeat], ['b:2', 2 ** 20, 120_000, 5000]);
  assert.deepEqual([config.aliases, config.trust_proxy, config.limits.max_calls], [{ pony: 'emoji' }, true, 64]);
  writeFileSync(file, 'sever: a\nlimits: {max_calls: 0}\n');
  assert.throws(() => loadConfig(variables({ CONFIG: file })), /limits\.max_calls: .*\n.*sever/s);
  rmSync(folder, { recursive: true });
});

test('configuration: wrong variables are errors, those of Kubernetes are not ours', () => {
  for (const [given, told] of [
    [{ SEVER: 'x' }, /sever/], [{ HEARTBEAT: '16s' }, /heartbeat: allowed: 100ms\.\.15s/], [{ LISTEN_PORT: '65536' }, /listen\.port/],
    [{ AUTH_MODE: 'tokens' }, /auth\.tokens: got none/], [{ AUTH_TOKENS: '[' }, /AUTH_TOKENS: got no JSON/], [{ FILES_TTL: '1d' }, /files\.ttl: got "1d"/],
    [{ AUTH_TOKENS: '[{"tenant":"a"}]' }, /either token or sha256/], [{ PUBLIC_URL: 'paint.example' }, /public_url/],
  ]) assert.throws(() => loadConfig(variables(given)), told);
  const service = { PORT: 'tcp://10.0.0.1:8080', PORT_8080_TCP: 'tcp://10.0.0.1:8080', PORT_8080_TCP_ADDR: '10.0.0.1', SERVICE_HOST: '10.0.0.1', SERVICE_PORT: '8080', SERVICE_PORT_HTTP: '8080' };
  assert.equal(loadConfig(variables(service)).listen.port, 8080);
});

test('sizes: strict, nearest, fit', () => {
  const cases = [
    ['strict', [1000, 30], [1000, 30]], ['nearest', [1024, 1024], [256, 256]], ['nearest', [1024, 512], [256, 128]],
    ['nearest', [100, 60], [104, 64]], ['nearest', [1, 1], [32, 32]], ['nearest', [5000, 10], [256, 32]],
    ['fit', [1024, 1024], [64, 64]], ['fit', [1536, 1024], [80, 56]], ['fit', [10, 10], [64, 64]], ['fit', [9000, 10], [256, 32]],
  ];
  for (const [policy, [width, height], [w, h]] of cases) {
    assert.deepEqual(chooseSize({ width, height }, model('a'), policy), { width: w, height: h }, `${policy} ${width}x${height}`);
  }
  // Whatever is asked, the answer is painted.
  for (let width = 1; width < 3000; width += 37) {
    for (let height = 1; height < 3000; height += 41) {
      for (const policy of ['nearest', 'fit']) {
        const size = chooseSize({ width, height }, model('a'), policy);
        assert.ok(size.width * size.height <= limits.maxArea);
        for (const side of [size.width, size.height]) assert.ok(side % 8 === 0 && side >= limits.minSide && side <= limits.maxSide);
      }
    }
  }
});

test('models: ids, aliases, the default one', () => {
  const models = [model('a'), model('b', true)];
  const aliases = { 'dall-e-3': '', pony: 'a', lost: 'c' };
  assert.deepEqual(['', 'dall-e-3', 'pony', 'a'].map((name) => chooseModel(name, models, aliases).id), ['b', 'b', 'a', 'a']);
  for (const name of ['c', 'lost', 'A']) assert.throws(() => chooseModel(name, models, aliases), { http: 404, param: 'model' });
});

test('samplers: every name leads to its sampler and back', () => {
  for (const [sampler, name] of SAMPLER_NAMES) {
    for (const spelled of [name, name.toUpperCase(), sampler, sampler.replace('SAMPLER_', '').toLowerCase()]) {
      assert.equal(chooseSampler(spelled, undefined).sampler, sampler, spelled);
    }
    assert.equal(samplerName(sampler), name);
    assert.deepEqual(chooseSampler(`${name} Karras`, undefined), { sampler, sigmaSchedule: 'SIGMA_SCHEDULE_KARRAS' });
  }
  assert.deepEqual(chooseSampler('', 'automatic'), {});
  assert.deepEqual(chooseSampler('Automatic', 'normal'), { sigmaSchedule: 'SIGMA_SCHEDULE_DEFAULT' });
  assert.throws(() => chooseSampler('Euler', 'polyexponential'), /scheduler: got "polyexponential"; allowed: automatic, karras/);
});

test('prompts: LoRAs are taken out', () => {
  assert.deepEqual(takeLoras('a <lora:one:0.5> cat, <LoRA:two>, <lora:three:0.4:0.9>'), {
    prompt: 'a  cat, ,',
    loras: [{ name: 'one', scale: 0.5 }, { name: 'two', scale: 1 }, { name: 'three', scale: 0.9, textScale: 0.4 }],
  });
  assert.deepEqual(takeLoras('<lora:one:te=0.4:unet=0.9> <lora:two:0.5:dyn=3> <lora:three::> <lora:four:0.5:0.5>').loras, [
    { name: 'one', scale: 0.9, textScale: 0.4 }, { name: 'two', scale: 0.5 }, { name: 'three', scale: 1 }, { name: 'four', scale: 0.5 },
  ]);
  assert.deepEqual(takeLoras('a < b > c').loras, []);
  assert.throws(() => takeLoras('<lora:one:much>'), { http: 400, param: 'prompt' });
});

test('masks: transparent is repainted, whatever the colours', () => {
  const mask = PNG.sync.read(maskFromAlpha(picture(4, 2, (x, y) => [60 * x, 200 * y, 9, [0, 255, 128, 255][x]]), 16));
  assert.deepEqual([...mask.data].filter((_, i) => i % 4 === 0), [255, 0, 127, 0, 255, 0, 127, 0]);
  assert.throws(() => maskFromAlpha(picture(4, 4, () => [0, 0, 0, 0]), 15), /got 4x4; allowed: at most 15 pixels/);
  assert.throws(() => maskFromAlpha(picture(4, 4, () => [0, 0, 0, 255]), 16), /without a transparent pixel/);
  assert.throws(() => maskFromAlpha(Buffer.from('GIF89a..'), 16), { http: 400, param: 'mask' });
  const cut = picture(40, 40, (x) => [x, x, x, 0]);
  assert.throws(() => maskFromAlpha(cut.subarray(0, cut.length - 30), 1600), { http: 400, param: 'mask' });
  assert.deepEqual(sizeOf('image', picture(7, 9, () => [0, 0, 0, 0])), { width: 7, height: 9 });
  assert.throws(() => sizeOf('image', Buffer.alloc(100)), { http: 400, param: 'image' });
  assert.equal(pngText(picture(1, 1, () => [0, 0, 0, 0]), 'parameters'), undefined);
});

test('callers: Bearer and Basic are one table', () => {
  const sha256 = createHash('sha256').update('second-token').digest('hex');
  const tokens = [{ token: 'first-token', tenant: 'a', upstream_token: 'up' }, { sha256, tenant: 'b', models: ['x'] }];
  const callers = new Callers({ auth: { mode: 'tokens', tokens }, tenant_metadata_key: 'x-tenant' });
  const basic = (pair) => `Basic ${Buffer.from(pair).toString('base64')}`;
  for (const header of ['Bearer first-token', 'bearer  first-token', basic('anybody:first-token')]) {
    assert.deepEqual(callers.identify(header, '::1'), { key: 'tenant:a', metadata: { 'x-tenant': 'a', authorization: 'Bearer up' }, models: undefined });
  }
  assert.ok(callers.identify('Bearer second-token', '::1').models.has('x'));
  for (const header of [undefined, '', 'Bearer', 'Bearer wrong', 'Digest x', basic('first-token'), 'Basic !'] ) {
    assert.throws(() => callers.identify(header, '::1'), { http: 401 }, String(header));
  }
  const through = new Callers({ auth: { mode: 'passthrough', tokens: [] }, tenant_metadata_key: '' });
  const { key, metadata } = through.identify(basic(':secret:with:colons'), '::1');
  assert.equal(metadata.authorization, 'Bearer secret:with:colons');
  assert.ok(!key.includes('secret'));
});

test('files: signed, for a while, bounded', () => {
  let now = 0;
  const files = new Files({ ttl: 60_000, max_bytes: 100, signing_key: '' }, () => now);
  const url = files.put(Buffer.alloc(60), 'image/png');
  assert.equal(files.get(url).bytes.length, 60);
  for (const wrong of [url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')), url.replace('expires=60', 'expires=61'), '/files/x.png', `${url}&x=1`]) {
    assert.throws(() => files.get(wrong), { http: 403 }, wrong);
  }
  const newer = files.put(Buffer.alloc(60), 'image/webp');
  assert.throws(() => files.get(url), { http: 404 });
  assert.equal(files.bytes, 60);
  now = 61_000;
  assert.throws(() => files.get(newer), { http: 404 });
});

test('limits: in all, for each client, and given back once', () => {
  const gate = new Limits({ max_calls: 3, max_calls_per_client: 2, max_watchers: 1 });
  const [a, b] = [{ key: 'a' }, { key: 'b' }];
  const leave = gate.enter(a);
  gate.enter(a);
  assert.throws(() => gate.enter(a), { http: 429, reason: 'CLIENT_LIMIT', retryAfterMs: 1000 });
  gate.enter(b);
  assert.throws(() => gate.enter(b), { http: 429, reason: 'GATEWAY_FULL' });
  leave();
  leave();
  assert.equal(gate.running, 2);
  gate.enter(b);
  const gone = gate.watch();
  assert.throws(() => gate.watch(), { http: 429 });
  gone();
  gate.watch();
});

test('OpenAPI tells of every route, and of no other', async () => {
  const routes = [];
  const { app, gateway } = await buildApp(loadConfig(variables({ LOG_LEVEL: 'silent' })), (route) => routes.push(route));
  await app.ready();
  const { paths } = openapiDocument('0');
  const told = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  const there = routes.filter(({ url }) => url !== '/' && url !== '/*').map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`)
    .filter((route) => !route.startsWith('HEAD '));
  assert.deepEqual(told.sort(), there.sort());
  await app.close();
  gateway.close();
});
