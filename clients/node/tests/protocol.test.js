// What a server does rarely: scripted, in this process. Arguments and addresses.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { Client, GenerateRequest, Sampler, StepcastError } from '../dist/index.js';
import { balancedTarget, targetOf, targetsOf } from '../dist/connection.js';
import { addressOfNobody, cutOff, refusal, startScripted } from './servers.js';

const FAST = { initialBackoffMs: 1 };

const accepted = (request, seed = 11) => ({
  accepted: { request: { imageCount: 1, ...request, seed: request.seed ?? seed, ...count(request) }, evaluations: 1, jobIds: [40, 41] },
});
const count = ({ imageCount }) => ({ imageCount: imageCount ?? 1 });
const chunk = (imageIndex, text, { offset = 0, total = text.length, sha256 } = {}) => ({
  imageChunk: {
    imageIndex, data: Buffer.from(text), offset, totalBytes: total, mime: 'image/png',
    sha256: sha256 ?? createHash('sha256').update(text).digest('hex'),
  },
});
const completed = { completed: { evaluations: 1 } };

function* paints(request) {
  yield accepted(request);
  for (let index = 0; index < count(request).imageCount; ++index) yield chunk(index, `picture ${index}`);
  yield completed;
}
/** Likewise, and tells what it took. */
const paintsAt = (cost) => function* (request) {
  for (const message of paints(request)) yield message === completed ? { completed: { evaluations: 1, cost } } : message;
};
const refuses = (...what) => function* () {
  throw refusal(...what);
};

/** Runs `body` with a client of scripted answers. */
async function scripted(scripts, body, { addresses = [], ...options } = {}) {
  const server = await startScripted(...scripts);
  const client = new Client([...addresses, server.address], { retry: FAST, ...options });
  try {
    await body(client, server);
  } finally {
    client.close();
    server.stop();
  }
}

for (const [code, reason] of [
  ['RESOURCE_EXHAUSTED', 'QUEUE_FULL'], ['RESOURCE_EXHAUSTED', 'TENANT_LIMIT'],
  ['RESOURCE_EXHAUSTED', 'DEADLINE_UNREACHABLE'], ['UNAVAILABLE', 'DRAINING'], ['UNAVAILABLE', 'DEVICE_LOST'],
  ['UNAVAILABLE', 'MODEL_LOADING'], ['UNAVAILABLE', 'MODEL_FAILED'],
]) {
  test(`${reason} is tried again`, () => scripted([refuses(code, reason), paints], async (client, { calls }) => {
    const { images } = await client.paint({ prompt: 'x' });
    assert.equal(images[0].data.toString(), 'picture 0');
    assert.equal(calls[0].metadata['x-request-id'], calls[1].metadata['x-request-id']);
  }));
}

for (const [code, reason] of [
  ['INVALID_ARGUMENT', 'FIELD_INVALID'], ['NOT_FOUND', 'MODEL_NOT_FOUND'], ['RESOURCE_EXHAUSTED', 'DEVICE_MEMORY'],
  ['DEADLINE_EXCEEDED', 'DEADLINE'], ['CANCELLED', 'CLIENT_STALLED'], ['INTERNAL', 'ENGINE_ERROR'],
]) {
  test(`${reason} is not`, () => scripted([refuses(code, reason)], async (client, { address }) => {
    await assert.rejects(client.paint({ prompt: 'x' }), (error) => {
      assert.ok(error instanceof StepcastError);
      assert.deepEqual([error.code, error.reason, error.address], [code, reason, address]);
      return true;
    });
  }));
}

test('the pushback is waited for, and wins over RetryInfo', () => {
  const busy = refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL', { delayMs: 20_000, pushback: '200' });
  return scripted([busy, paints], async (client, { calls }) => {
    await client.paint({ prompt: 'x' });
    const waited = calls[1].time - calls[0].time;
    // A timer may fire a millisecond early.
    assert.ok(waited >= 199 && waited < 10_000, `${waited}`);
  });
});

for (const pushback of ['-1', 'soon']) {
  test(`pushback ${pushback} forbids a retry`, () => {
    const busy = refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL', { pushback });
    return scripted([busy], (client) => assert.rejects(client.paint({ prompt: 'x' }), { reason: 'QUEUE_FULL' }));
  });
}

for (const [timeoutMs, delayMs] of [[undefined, 3_600_000], [5000, 20_000]]) {
  test(`a wait of ${delayMs} ms within ${timeoutMs} is not begun`, () => {
    const busy = refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL', { delayMs });
    return scripted([busy], async (client) => {
      await assert.rejects(client.paint({ prompt: 'x' }, { timeoutMs }), { retryDelayMs: delayMs });
    });
  });
}

test('rounds end, with the error that tells most', async () => {
  const busy = refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL');
  const options = { addresses: [await addressOfNobody()], retry: { ...FAST, rounds: 2 } };
  await scripted([busy, busy], async (client, { calls }) => {
    await assert.rejects(client.paint({ prompt: 'x' }), { reason: 'QUEUE_FULL' });
    assert.equal(calls.length, 2);
  }, options);
});

test('a lost device resumes with the same seed and tells no picture twice', () => {
  function* loses(request) {
    yield accepted(request, 99);
    yield chunk(0, 'picture 0');
    yield chunk(1, 'pict', { total: 9 });
    throw refusal('UNAVAILABLE', 'DEVICE_LOST');
  }
  return scripted([loses, paints], async (client, { calls }) => {
    const types = [];
    const result = await client.paint({ prompt: 'x', imageCount: 2 }, { onEvent: ({ type }) => types.push(type) });
    assert.deepEqual(types, ['accepted', 'image', 'accepted', 'image', 'completed']);
    assert.deepEqual(result.images.map((image) => image.imageIndex), [0, 1]);
    assert.deepEqual(calls.map(({ request }) => request.seed), [undefined, 99]);
  });
});

const parked = (imageIndex, token) => ({ parked: { imageIndex, resumeToken: Buffer.from(token), evaluationsDone: 3 } });
const checkpoint = (imageIndex, token) => ({
  checkpoint: { imageIndex, resumeToken: Buffer.from(token), evaluationsDone: 2 },
});
const asked = (calls) => calls.map(({ request: { seed, imageCount, resumeToken } }) => [
  seed, imageCount, resumeToken.toString(),
]);

test('pictures with tokens go on one after the other', () => {
  // Of four pictures one is done, one has a token, one its checkpoint, one nothing.
  function* handsOut(request) {
    yield accepted(request, 99);
    yield checkpoint(0, 'old');
    yield checkpoint(1, 'unused');
    yield checkpoint(2, 'kept');
    yield chunk(1, 'picture 1');
    yield parked(0, 'new');
    yield parked(2, '');
    yield parked(3, '');
    throw refusal('UNAVAILABLE', 'DRAINING');
  }
  const telling = paintsAt({ rowEvaluations: 6, deviceSeconds: 0.25 });
  const scripts = [handsOut, telling, refuses('INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID'), paints, telling];
  return scripted(scripts, async (client, { calls }) => {
    const [told, jobIds] = [[], []];
    const onEvent = ({ type, imageIndex, jobIds: jobs }) => {
      told.push(`${type} ${imageIndex ?? ''}`.trim());
      if (type === 'accepted') jobIds.push(jobs);
    };
    const result = await client.paint({ prompt: 'x', imageCount: 4 }, { onEvent });
    assert.deepEqual(asked(calls), [
      [undefined, 4, ''], [99, 1, 'new'], [101, 1, 'kept'], [101, 1, ''], [102, 1, ''],
    ]);
    assert.deepEqual(told, [
      'accepted', 'checkpoint 0', 'checkpoint 1', 'checkpoint 2', 'image 1', 'parked 0', 'parked 2', 'parked 3',
      'image 0', 'image 2', 'image 3', 'completed',
    ]);
    assert.equal(result.completed.evaluations, 3);
    // One of the three attempts that ended well was of a server that does not tell.
    assert.deepEqual(result.completed.cost, { rowEvaluations: 12, deviceSeconds: 0.5 });
    assert.deepEqual(jobIds, [[40, 41]]);
  }, { retry: { ...FAST, rounds: 2 } });
});

test('a dead server is gone on from its last checkpoint', () => {
  function* dies(request) {
    yield accepted(request, 99);
    yield checkpoint(0, 'old');
    yield checkpoint(0, 'new');
    throw cutOff('UNAVAILABLE', 'Connection dropped');
  }
  return scripted([dies, refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL'), paints], async (client, { calls }) => {
    await client.paint({ prompt: 'x' });
    assert.deepEqual(asked(calls), [[undefined, undefined, ''], [99, 1, 'new'], [99, 1, 'new']]);
  });
});

test("a token of the caller's own is not dropped", () => {
  const foreign = refuses('INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID');
  return scripted([foreign], async (client, { calls }) => {
    const own = { prompt: 'x', seed: 99, resumeToken: Buffer.from('own') };
    await assert.rejects(client.paint(own), { reason: 'RESUME_TOKEN_INVALID' });
    assert.equal(calls.length, 1);
  });
});

for (const [code, details] of [
  ['UNAVAILABLE', 'Connection dropped'], ['INTERNAL', 'Received RST_STREAM with code 2'], ['CANCELLED', 'CANCELLED'],
]) {
  test(`a server that is lost (${code}) is replaced twice and no more`, () => {
    function* dies(request) {
      yield accepted(request, 99);
      throw cutOff(code, details);
    }
    return scripted([dies, dies, paints, dies, dies, dies], async (client, { calls }) => {
      const { images } = await client.paint({ prompt: 'x' });
      assert.equal(images[0].data.toString(), 'picture 0');
      assert.deepEqual(calls.map(({ request }) => request.seed), [undefined, 99, 99]);
      // A request that kills whoever paints it must not go through all replicas.
      await assert.rejects(client.paint({ prompt: 'x' }), { code });
      assert.equal(calls.length, 6);
    });
  });
}

test('a call that a server never began because it stops goes elsewhere', () => {
  function* stops() {
    throw cutOff('CANCELLED', 'CANCELLED');
  }
  return scripted([stops, stops, paints, stops, stops, stops], async (client) => {
    assert.equal((await client.paint({ prompt: 'x' })).images[0].data.toString(), 'picture 0');
    await assert.rejects(client.paint({ prompt: 'x' }), { code: 'CANCELLED' });
  });
});

test('a call that has begun is not repeated for other reasons', () => {
  function* loses(request) {
    yield accepted(request);
    throw refusal('RESOURCE_EXHAUSTED', 'QUEUE_FULL');
  }
  return scripted([loses], (client) => assert.rejects(client.paint({ prompt: 'x' }), { reason: 'QUEUE_FULL' }));
});

for (const [what, parts] of Object.entries({
  'a wrong checksum': [chunk(0, 'picture', { sha256: '0'.repeat(64) }), completed],
  'a gap': [chunk(0, 'pict', { total: 9 }), chunk(0, 're 0', { offset: 5, total: 9 }), completed],
  'too many bytes': [chunk(0, 'picture', { total: 4 }), completed],
  'too few bytes': [chunk(0, 'pict', { total: 9 }), completed],
  'no picture': [completed],
  'no end': [chunk(0, 'picture')],
})) {
  test(`${what} is an error`, () => {
    function* damages(request) {
      yield accepted(request);
      yield* parts;
    }
    return scripted([damages], (client) => assert.rejects(client.paint({ prompt: 'x' }), { reason: 'BROKEN_STREAM' }));
  });
}

test('what goes beside a request', () => scripted([paints], async (client, { calls }) => {
  await client.paint({ prompt: 'x', model: 'emoji' }, { metadata: { 'x-two': '2' } });
  const sent = calls[0].metadata;
  assert.deepEqual([sent['x-stepcast-tenant'], sent['x-stepcast-model'], sent['x-one'], sent['x-two']], ['acme', 'emoji', '1', '2']);
  assert.match(sent['user-agent'], /^stepcast-node/);
}, { tenant: 'acme', metadata: { 'x-one': '1' } }));

test('an abort ends the wait for a retry', () => {
  const busy = refuses('RESOURCE_EXHAUSTED', 'QUEUE_FULL', { delayMs: 25_000 });
  return scripted([busy], async (client, { calls }) => {
    const abort = new AbortController();
    const painting = client.paint({ prompt: 'x' }, { signal: abort.signal });
    const timer = setInterval(() => calls.length > 0 && abort.abort(), 5);
    await assert.rejects(painting, { name: 'AbortError' });
    clearInterval(timer);
  });
});

test('a field that the contract lacks is named', async () => {
  const client = new Client('localhost:1');
  await assert.rejects(client.paint({ colour: 'red' }), { name: 'TypeError', message: /^colour: / });
  client.close();
});

test('requests keep what is set, zero and false too', () => {
  const request = GenerateRequest.fromPartial({ seed: 0, sampler: Sampler.EULER, initImage: Buffer.from('x') });
  const read = GenerateRequest.decode(GenerateRequest.encode(request).finish());
  assert.deepEqual([read.seed, read.steps, read.sampler, read.initImage.toString()], [0, undefined, 'SAMPLER_EULER', 'x']);
});

for (const [address, target] of [
  ['host', 'host:50051'], ['host:1', 'host:1'], ['http://host:1/', 'host:1'], ['grpc://host', 'host:50051'],
  ['[::1]', '[::1]:50051'], ['[::1]:5', '[::1]:5'], ['::1', '[::1]:50051'], ['unix:/run/s.sock', 'unix:/run/s.sock'],
]) {
  test(`address ${address}`, () => assert.equal(targetOf(address), target));
}

test('replicas to balance are one name, or IP addresses', () => {
  assert.equal(balancedTarget(['dns:///stepcast:50051']), 'dns:///stepcast:50051');
  assert.equal(balancedTarget(['10.0.0.1:1', '10.0.0.2:2']), 'ipv4:10.0.0.1:1,10.0.0.2:2');
  assert.equal(balancedTarget(['[::1]:1', '[::2]:2']), 'ipv6:[::1]:1,[::2]:2');
  for (const targets of [['a:1', 'b:1'], ['10.0.0.1:1', '[::1]:1']]) {
    assert.throws(() => balancedTarget(targets), /balance: .*one name, or IP addresses of one kind/);
  }
});

test('several addresses', () => {
  assert.deepEqual(targetsOf('a, b:2'), ['a:50051', 'b:2']);
  for (const wrong of [[], [''], 'a,,b']) assert.throws(() => targetsOf(wrong), RangeError);
});
