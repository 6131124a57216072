// The whole client against the real server and its bundled models.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { credentials } from '@grpc/grpc-js';

import { Client, ImageFormat, Sampler } from '../dist/index.js';
import { addressOfNobody, startServer } from './servers.js';

const HERE = fileURLToPath(new URL('..', import.meta.url));
let server;
let client;

before(async () => {
  server = await startServer({ model: 'emoji', config: 'limits: {image_chunk_bytes: 1024}\n' });
  client = new Client(server.address, { timeoutMs: 120_000 });
});
after(async () => {
  client.close();
  await server.stop();
});

test('every event comes, in order', async () => {
  const events = [];
  // Previews get a tenth of the ticks: so many steps that each picture has one on any machine.
  for await (const event of client.generate({
    prompt: 'a red apple', seed: 7, steps: 60, imageCount: 2, preview: { everyNSteps: 12 },
  })) events.push(event);
  assert.equal(events[0].type, 'accepted');
  assert.deepEqual([events[0].request.seed, events[0].evaluations], [7, 60]);
  assert.equal(events.at(-1).type, 'completed');
  assert.ok(events.at(-1).timings.total > 0);
  for (const index of [0, 1]) {
    const types = events.filter((event) => event.imageIndex === index).map((event) => event.type);
    assert.ok(types.includes('progress'));
    assert.ok(types.indexOf('preview') >= 0 && types.indexOf('preview') < types.indexOf('image'));
    assert.equal(types.at(-1), 'image');
  }
  const images = events.filter((event) => event.type === 'image');
  assert.deepEqual(images.map((image) => image.seed).sort(), [7, 8]);
  for (const { data, sha256, width } of images) {
    assert.ok(data.length > 3 * 1024, 'several chunks');
    assert.equal(createHash('sha256').update(data).digest('hex'), sha256);
    assert.equal(width, 64);
  }
});

test('Accepted paints the same again, and unary the same as the stream', async () => {
  const first = await client.paint({ prompt: 'a red apple', steps: 4, sampler: Sampler.EULER });
  const again = await client.paint(first.request);
  assert.deepEqual(again.images[0].data, first.images[0].data);
  const unary = await client.generateImage(first.request);
  assert.deepEqual(unary.images[0].data, first.images[0].data);
  assert.equal(unary.completed.evaluations, 4);
});

test('validateOnly paints nothing', async () => {
  const { images, completed, request } = await client.paint({ prompt: 'a red apple', validateOnly: true });
  assert.deepEqual([images, completed], [[], undefined]);
  assert.ok(request.steps > 0);
});

test('wrong fields are all named', async () => {
  await assert.rejects(client.paint({ prompt: 'x', width: 100, steps: 0 }), (error) => {
    assert.deepEqual([error.code, error.reason], ['INVALID_ARGUMENT', 'FIELD_INVALID']);
    assert.deepEqual(error.fieldViolations.map(({ field }) => field).sort(), ['steps', 'width']);
    assert.notEqual(error.requestId, '');
    return true;
  });
  await assert.rejects(client.paint({ prompt: 'x', initImage: Buffer.from('no picture') }), (error) =>
    error.fieldViolations.some(({ field }) => field === 'init_image'));
  await assert.rejects(client.getModel('nobody'), (error) => error.metadata.available.includes('emoji'));
});

test('a deadline that passes is told', async () => {
  await assert.rejects(client.paint({ prompt: 'x', steps: 100, imageCount: 4 }, { timeoutMs: 50 }),
    (error) => ['DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'].includes(error.code));
});

test('models and server', async () => {
  assert.deepEqual((await client.listModels({ pageSize: 1 })).map(({ id }) => id), ['emoji']);
  assert.equal((await client.getModel()).id, (await client.serverInfo()).defaultModel);
});

test('leaving the loop cancels', async () => {
  const requestId = randomUUID();
  for await (const event of client.generate({ prompt: 'x', steps: 100, imageCount: 4 }, { requestId })) {
    assert.equal(event.type, 'accepted');
    break;
  }
  assert.equal((await server.logged(requestId)).reason, 'CLIENT_CANCELLED');
});

test('an abort cancels, streamed or not', async () => {
  for (const method of ['paint', 'generateImage']) {
    const requestId = randomUUID();
    const abort = new AbortController();
    const painting = client[method]({ prompt: 'x', steps: 150, imageCount: 4 }, { requestId, signal: abort.signal });
    const aborted = assert.rejects(painting, { name: 'AbortError' });
    // Once it is there.
    for (let queue = {}; !(queue.running + queue.waiting > 0);) ({ queue } = await client.serverInfo());
    abort.abort();
    await aborted;
    assert.equal((await server.logged(requestId)).reason, 'CLIENT_CANCELLED');
    await assert.rejects(client[method]({ prompt: 'x' }, { signal: abort.signal }), { name: 'AbortError' });
  }
});

test('eight at once share their ticks', async () => {
  const seeds = [0, 1, 2, 3, 4, 5, 6, 7];
  const results = await Promise.all(seeds.map((seed) => client.paint({ prompt: 'a red apple', seed, steps: 4 })));
  assert.deepEqual(results.map(({ images }) => images[0].seed), seeds);
  assert.equal(new Set(results.map(({ images }) => images[0].sha256)).size, 8);
  assert.ok(Math.max(...results.map(({ completed }) => completed.meanRows)) > 2);
});

test('a dead address is passed over', async () => {
  const two = new Client([await addressOfNobody(), server.address]);
  assert.equal((await two.paint({ prompt: 'x', steps: 1 })).images[0].width, 64);
  assert.equal((await two.serverInfo()).defaultModel, 'emoji');
  two.close();
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`a call whose server gets ${signal} goes on elsewhere`, async () => {
    const [first, second] = await Promise.all([startServer({ config: 'drain: {timeout: 1ms}\n' }), startServer()]);
    const two = new Client([first.address, second.address]);
    const seeds = [];
    const result = await two.paint({ classLabel: '7', steps: 60 }, {
      onEvent(event) {
        if (event.type !== 'accepted') return;
        if (seeds.length === 0) first.signal(signal);
        seeds.push(event.request.seed);
      },
    });
    assert.equal(seeds.length, 2);
    assert.equal(seeds[0], seeds[1]);
    assert.equal(result.images[0].seed, seeds[0]);
    two.close();
    await Promise.all([first.stop(), second.stop()]);
  });
}

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`no evaluation is repeated after ${signal} where servers share a key`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stepcast_keys_'));
    writeFileSync(join(folder, 'keys'), 'a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n');
    const config = `resume: {key_file: ${folder}/keys, min_checkpoint_every: 1}\ndrain: {timeout: 1ms}\n`;
    const [first, second] = await Promise.all([startServer({ config }), startServer({ config })]);
    const two = new Client([first.address, second.address], { timeoutMs: 120_000 });
    const seven = { classLabel: '7', steps: 60, seed: 7 };
    let reached = 0;
    const result = await two.paint({ ...seven, checkpointEvery: 4 }, {
      onEvent(event) {
        if (event.type !== 'checkpoint' || reached > 0) return;
        reached = event.evaluationsDone;
        first.signal(signal);
      },
    });
    assert.ok(reached > 0 && result.completed.evaluations <= 60 - reached, `${result.completed.evaluations}`);
    assert.equal((await two.paint(seven)).images[0].sha256, result.images[0].sha256);
    two.close();
    await Promise.all([first.stop(), second.stop()]);
    rmSync(folder, { recursive: true });
  });
}

test('calls are spread over replicas, and those that a drain refuses go elsewhere', async () => {
  const [first, second] = await Promise.all([startServer(), startServer()]);
  const both = new Client([first.address, second.address], { balance: true });
  const paint = () => both.paint({ classLabel: '7', steps: 1 });
  while (first.calls() === 0 || second.calls() === 0) await paint();
  first.signal('SIGTERM');
  while (!first.ended()) await paint();
  both.close();
  await second.stop();
});

test('other formats', async () => {
  const { images } = await client.paint({ prompt: 'x', steps: 1, output: { format: ImageFormat.JPEG } });
  assert.equal(images[0].mime, 'image/jpeg');
});

test('the README works, word by word', async () => {
  const folder = mkdtempSync(join(HERE, 'readme_'));
  try {
    const blocks = [...readFileSync(join(HERE, 'README.md'), 'utf8').matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
    assert.ok(blocks.length >= 3);
    const run = promisify(execFile);
    const told = await Promise.all(blocks.map(async (code, index) => {
      writeFileSync(join(folder, `${index}.mjs`), code.replace("'localhost:50051'", `'${server.address}'`));
      const env = { ...process.env, STEPCAST_HOST: server.address };
      return (await run(process.execPath, [`${index}.mjs`], { cwd: folder, env })).stdout;
    }));
    assert.match(told.join(''), /seed 7/);
    assert.match(told.join(''), /width - got 100/);
    for (const name of ['apple.png', 'rocket-0.png']) assert.ok(readFileSync(join(folder, name)).length > 1000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the example streams to a browser', async () => {
  process.env.STEPCAST_HOST = server.address;
  const { serve } = await import('../examples/sse.js');
  const http = await serve(0);
  try {
    const url = `http://127.0.0.1:${http.address().port}/paint?prompt=a+red+apple&steps=24`;
    const text = await (await fetch(url)).text();
    const names = [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);
    assert.equal(names[0], 'accepted');
    assert.ok(names.includes('preview'));
    assert.deepEqual(names.slice(-2), ['image', 'completed']);
    const refused = await (await fetch(`${url}&steps=0`.replace('steps=24&', ''))).text();
    assert.match(refused, /event: failed\ndata: .*FIELD_INVALID/);
  } finally {
    http.close();
  }
});

test('a token and TLS let a client in', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stepcast_tls_'));
  const [ca, key, tokens] = ['cert.pem', 'key.pem', 'tokens.yaml'].map((name) => join(folder, name));
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', ca,
    '-subj', '/CN=stepcast', '-addext', 'subjectAltName=IP:127.0.0.1',
  ]);
  const hash = createHash('sha256').update('sct_node').digest('hex');
  writeFileSync(tokens, `- {sha256: ${hash}, tenant: acme}\n`);
  const guarded = await startServer({
    config: `auth: {token_file: ${tokens}}\ntls: {cert_file: ${ca}, key_file: ${key}}\n`, ca,
  });
  const secure = credentials.createSsl(readFileSync(ca));
  const [stranger, friend] = [undefined, 'sct_node'].map((token) => (
    new Client(guarded.address, { credentials: secure, timeoutMs: 60_000, ...(token ? { token } : {}) })));
  try {
    await assert.rejects(stranger.serverInfo(), (error) => error.reason === 'TOKEN_MISSING');
    assert.equal((await friend.listModels()).length, 1);
  } finally {
    stranger.close();
    friend.close();
    await guarded.stop();
    rmSync(folder, { recursive: true });
  }
});
