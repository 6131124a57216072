// Jobs, and what the page asks.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Validator } from '@seriousme/openapi-schema-validator';

import { eventsOf, SOURCE } from './gateways.js';

const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** `own`: {gateway, locked, server}, running. */
export function jobTests(own) {
  test('jobs: submitted once, watched, fetched', async () => {
    const body = { model: 'digits', prompt: '7', n: 2, num_inference_steps: 4, seed: 7 };
    const submit = (body) => own.gateway.post('/v1/jobs', body, { headers: { 'idempotency-key': 'one' } });
    const [first, again] = await Promise.all([submit(body), submit(body)]);
    const job = await first.json();
    assert.equal(first.status, 202);
    assert.equal(first.headers.get('location'), job.poll_url);
    assert.equal((await again.json()).id, job.id);
    assert.equal((await submit({ ...body, n: 1 })).status, 409);
    const states = [];
    for await (const { event, data } of eventsOf(await own.gateway.get(job.events_url))) {
      assert.equal(event, 'job');
      states.push(data);
    }
    const done = states.at(-1);
    assert.deepEqual([done.status, done.progress, done.images.length, done.error], ['succeeded', 1, 2, null]);
    assert.ok(states.every(({ progress }, i) => i === 0 || progress >= states[i - 1].progress));
    assert.deepEqual(await own.gateway.get(job.poll_url).then((answer) => answer.json()), done);
    const file = await own.gateway.get(done.images[1].url);
    assert.deepEqual([file.status, file.headers.get('content-type'), done.images[1].seed], [200, 'image/png', 8]);
    // Ended jobs give their preview back.
    assert.equal((await own.gateway.get(`${job.poll_url}/preview`)).status, 404);
  });

  test('jobs: cancelled, and nobody else\'s to see', async () => {
    const submit = () => own.locked.post('/v1/jobs', { model: 'digits', prompt: '7', n: 4, num_inference_steps: 1000 }, { headers: bearer('token-of-a') });
    const { id, poll_url: at } = await submit().then((answer) => answer.json());
    assert.equal((await own.locked.get(at, { headers: bearer('token-of-b') })).status, 404);
    const cancelled = await own.locked.get(at, { method: 'DELETE', headers: bearer('token-of-a') }).then((answer) => answer.json());
    assert.deepEqual([cancelled.id, cancelled.status], [id, 'cancelled']);
    assert.equal((await own.server.logged(id)).code, 'CANCELLED');
    // Jobs are bounded: the oldest that is done makes room (the gateway keeps two for each client).
    await Promise.all([submit(), submit()]);
    assert.equal((await own.locked.get(at, { headers: bearer('token-of-a') })).status, 404);
    const full = await submit();
    assert.deepEqual([full.status, full.headers.get('retry-after')], [429, '5']);
    const { data } = await own.locked.get('/v1/jobs', { headers: bearer('token-of-a') }).then((answer) => answer.json());
    await Promise.all(data.map(({ poll_url: url }) => own.locked.get(url, { method: 'DELETE', headers: bearer('token-of-a') })));
  });

  test('jobs: what the server refuses fails the job', async () => {
    const { events_url: url } = await own.gateway.post('/v1/jobs', { prompt: 'a', guidance_scale: 99 }).then((answer) => answer.json());
    let last;
    for await (const { data } of eventsOf(await own.gateway.get(url))) last = data;
    assert.deepEqual([last.status, last.error.reason, last.error.violations[0].field], ['failed', 'FIELD_INVALID', 'guidance_scale']);
    assert.equal((await own.gateway.post('/v1/jobs', { prompt: 'a', foo: 1 })).status, 400);
  });
}

export function pageTests(own) {
  const json = (path) => own.gateway.get(path).then((answer) => answer.json());

  test('page: models, server, adapters, schedule', async () => {
    const { default: first, models } = await json('/api/models');
    assert.deepEqual([first, models.map(({ id }) => id)], ['emoji', ['emoji', 'digits']]);
    assert.deepEqual(models[0].controlNets.map(({ id }) => id), ['emoji-sketch']);
    const info = await json('/api/server');
    assert.deepEqual([info.state, info.defaultModel, info.limits.maxArea], ['SERVING_STATE_SERVING', 'emoji', '4194304']);
    assert.deepEqual((await json('/api/adapters')).adapters.map(({ name, models }) => [name, models]), [['emoji-line-art', ['emoji']]]);
    assert.equal((await json('/api/schedule')).devices[0].device.name, 'cpu');
  });

  test('page: every event of a painting, and the ticks that painted it', async () => {
    const abort = new AbortController();
    const ticks = eventsOf(await own.gateway.get('/api/ticks', { signal: abort.signal }));
    const body = { model: 'digits', classLabel: '7', seed: '7', steps: 30, preview: { everyNSteps: 5 }, sampler: 'SAMPLER_EULER' };
    const events = [];
    for await (const event of eventsOf(await own.gateway.post('/api/paint', body))) events.push(event);
    const names = events.map(({ event }) => event);
    assert.deepEqual([names[0], names.at(-2), names.at(-1)], ['accepted', 'image', 'completed']);
    assert.ok(names.includes('progress') && names.includes('preview'));
    const { request } = events[0].data;
    assert.deepEqual([request.seed, request.sampler, request.steps], ['7', 'SAMPLER_EULER', 30]);
    const { data, ...image } = events.at(-2).data;
    assert.deepEqual([image.imageIndex, image.mime, image.width, image.seed], [0, 'image/png', 32, '7']);
    assert.ok(data.startsWith('iVBORw0KGgo'));
    assert.match(events.at(-1).data.timings.total, /^[0-9.]+s$/);
    for await (const { event, data: { tick } } of ticks) {
      assert.equal(event, 'tick');
      if (tick.key.phase !== 'TICK_PHASE_DENOISE' || tick.jobs[0].position !== 29) continue;
      assert.deepEqual(events[0].data.jobIds, [tick.jobs[0].jobId]);
      break;
    }
    abort.abort();
  });

  test('page: refusals are events, what is no request is an HTTP error', async () => {
    const events = [];
    for await (const event of eventsOf(await own.gateway.post('/api/paint', { prompt: 'a', steps: 0, width: 9 }))) events.push(event);
    assert.deepEqual(events.map(({ event, data }) => [event, data.status, data.reason, data.violations.length]), [['error', 'INVALID_ARGUMENT', 'FIELD_INVALID', 2]]);
    const wrong = await own.gateway.post('/api/paint', { promt: 'a' });
    assert.deepEqual([wrong.status, (await wrong.json()).error.reason], [400, 'MALFORMED_REQUEST']);
    const shut = await own.locked.get('/api/ticks', { headers: bearer('token-of-a') });
    assert.equal(shut.status, 503);
    assert.match((await shut.json()).error.message, /STEPCAST_GATEWAY_ADMIN/);
  });

  test('operation: health, readiness, metrics', async () => {
    assert.deepEqual(await json('/healthz'), { status: 'ok' });
    assert.deepEqual(await json('/readyz'), { ready: true, server: 'SERVING_STATE_SERVING' });
    const metrics = await own.gateway.get('/metrics').then((answer) => answer.text());
    assert.match(metrics, /stepcast_gateway_requests_total\{route="\/healthz",code="200"\} [1-9]/);
    const told = new Set([...metrics.matchAll(/^# TYPE (stepcast_gateway_(?!process|nodejs)\S+)/gm)].map(([, name]) => name));
    const page = readFileSync(`${SOURCE}/clients/gateway/README.md`, 'utf8');
    for (const name of told) assert.ok(page.includes(`\`${name}\``), `the README tells nothing of ${name}`);
  });

  test('operation: the OpenAPI document is valid', async () => {
    const { valid, errors } = await new Validator().validate(await json('/openapi.json'));
    assert.ok(valid, JSON.stringify(errors));
  });

  test('auth: without a token, with a wrong one, with one that may not', async () => {
    const paint = (headers, model = 'emoji') => own.locked.post('/v1/images/generations', { prompt: '1', model, num_inference_steps: 1 }, { headers });
    const missing = await paint({});
    assert.deepEqual([missing.status, missing.headers.get('www-authenticate')], [401, 'Bearer, Basic realm="stepcast"']);
    assert.equal((await missing.json()).error.code, 'invalid_api_key');
    assert.equal((await paint(bearer('wrong-token'))).status, 401);
    assert.equal((await paint(bearer('token-of-digits'), 'digits')).status, 200);
    // What a caller may not use is not there for it.
    assert.equal((await paint(bearer('token-of-digits'), 'emoji')).status, 404);
    const forbidden = await own.locked.post('/api/paint', { prompt: 'a', model: 'emoji' }, { headers: bearer('token-of-digits') });
    assert.deepEqual([forbidden.status, (await forbidden.json()).error.reason], [403, 'MODEL_FORBIDDEN']);
    assert.equal((await own.locked.get('/healthz')).status, 200);
  });
}
