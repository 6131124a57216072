import { describe, expect, test } from 'vitest';

import { DIGITS, EMOJI } from './models';
import { adaptersOf, classOf, movedTo, sizesOf } from '../../src/settings/model_choices';
import { isOutage, kindly } from '../../src/settings/refusal_words';
import { previewEvery, requestOf, settingsOf } from '../../src/settings/request';
import { BLANK, revived, type Settings } from '../../src/settings/settings';
import { sortedOut } from '../../src/settings/violations';

const INFO = { limits: { maxPreviewsPerImage: 25 } };
const set = (changes: Partial<Settings>): Settings => ({ ...BLANK, prompt: 'a pear', ...changes });

describe('settings that the browser kept', () => {
  test('come back', () => {
    const kept = set({ steps: 30, seed: 7, seedLocked: true, loras: [{ name: 'ink', scale: 0.5 }] });
    expect(revived(JSON.stringify(kept))).toEqual(kept);
  });
  test.each([null, '', 'null', '[1]', '{', '{"steps":"many","prompt":3,"loras":[{"name":"x"}],"unknown":1}'])('%j is nothing', (text) => {
    expect(revived(text)).toEqual(BLANK);
  });
});

describe('the request', () => {
  test('leaves to the model what nobody chose', () => {
    expect(requestOf(set({}), EMOJI, INFO)).toEqual({
      model: 'emoji', prompt: 'a pear', imageCount: 1, width: 64, height: 64, preview: { everyNSteps: 2 },
    });
  });
  test('has what was chosen', () => {
    const request = requestOf(set({
      negativePrompt: 'worm', steps: 30, guidance: 4, sampler: 'SAMPLER_DPMPP_2M', schedule: 'SIGMA_SCHEDULE_KARRAS', seed: 7,
      seedLocked: true, width: 48, count: 3, loras: [{ name: 'ink', scale: 0.5 }],
    }), EMOJI, INFO);
    expect(request).toMatchObject({
      negativePrompt: 'worm', steps: 30, guidanceScale: 4, sampler: 'SAMPLER_DPMPP_2M', sigmaSchedule: 'SIGMA_SCHEDULE_KARRAS', seed: 7,
      width: 48, height: 64, imageCount: 3, loras: [{ name: 'ink', scale: 0.5 }],
    });
  });
  test('has no seed that is not locked, and no schedule that the sampler lacks', () => {
    const request = requestOf(set({ seed: 7, sampler: 'SAMPLER_DDIM', schedule: 'SIGMA_SCHEDULE_KARRAS' }), EMOJI, INFO);
    expect(request).not.toHaveProperty('seed');
    expect(request).not.toHaveProperty('sigmaSchedule');
  });
  test('of a class model has a class, and guidance only with one', () => {
    expect(requestOf(set({ classIndex: 0, guidance: 2 }), DIGITS, INFO)).toMatchObject({ classIndex: 0, guidanceScale: 2 });
    const any = requestOf(set({ guidance: 2 }), DIGITS, INFO);
    expect(any).not.toHaveProperty('classIndex');
    expect(any).not.toHaveProperty('guidanceScale');
    expect(any).not.toHaveProperty('prompt');
    expect(any).not.toHaveProperty('preview');
  });
  test('has pictures where there are any', () => {
    const request = requestOf(set({ strength: 0.4, maskBlur: 2, controlScale: 0.7 }), EMOJI, INFO, { start: 'S', mask: 'M', sketch: 'K' });
    expect(request).toMatchObject({
      initImage: 'S', maskImage: 'M', strength: 0.4, inpaint: { blur: 2 }, control: [{ model: 'emoji-sketch', image: 'K', scale: 0.7 }],
    });
    expect(requestOf(set({}), { ...EMOJI, imageInput: 'IMAGE_INPUT_PICTURE' }, INFO, { start: 'S' })).not.toHaveProperty('strength');
  });
  test('gives back the settings that made it', () => {
    const before = set({ steps: 30, guidance: 4, sampler: 'SAMPLER_DDIM', width: 48, height: 56, negativePrompt: 'worm' });
    const after = settingsOf(requestOf(before, EMOJI, INFO), BLANK, 9);
    expect(after).toMatchObject({ ...before, model: 'emoji', seed: 9, seedLocked: true });
  });
});

test.each([[1, 25], [20, 25], [150, 25], [1000, 25], [1000, 3], [16, 0]])('%d steps make no more previews than %d', (steps, most) => {
  const every = previewEvery(steps, most);
  expect(Math.floor((steps - 1) / every)).toBeLessThanOrEqual(Math.max(1, most));
  expect(every).toBeGreaterThanOrEqual(1);
});

describe('what a model allows', () => {
  test('sizes are multiples within its limits', () => {
    const sizes = sizesOf(EMOJI);
    expect(sizes[0]).toEqual({ width: 64, height: 64 });
    for (const { width, height } of sizes) {
      expect(width % 8 + height % 8).toBe(0);
      expect(Math.max(width, height)).toBeLessThanOrEqual(256);
      expect(width * height).toBeLessThanOrEqual(65536);
    }
    expect(new Set(sizes.map(({ width, height }) => `${width} ${height}`)).size).toBe(sizes.length);
  });
  test('a class is needed where none is no choice', () => {
    expect(classOf(DIGITS, set({}))).toBeUndefined();
    expect(classOf({ ...DIGITS, hasNullClass: false }, set({}))).toBe(0);
    expect(classOf(DIGITS, set({ classIndex: 99 }))).toBeUndefined();
  });
  test('LoRAs are those that go with it, and no embeddings', () => {
    const lora = { kind: 'ADAPTER_KIND_LORA' };
    const adapters = [
      { ...lora, name: 'a', models: ['digits', 'emoji'] }, { ...lora, name: 'b', models: ['digits'] }, { ...lora, name: 'c' },
      { name: 'd', kind: 'ADAPTER_KIND_EMBEDDING', models: ['emoji'] },
    ];
    expect(adaptersOf(EMOJI, adapters).map(({ name }) => name)).toEqual(['a']);
  });
  test('another model keeps the words and leaves the numbers', () => {
    expect(movedTo(DIGITS, set({ steps: 99, width: 512, sampler: 'SAMPLER_X' }))).toEqual(set({ model: 'digits' }));
  });
});

describe('refusals', () => {
  test('stand beside the controls that they are about', () => {
    const { fields, rest } = sortedOut({ violations: [
      { field: 'width', description: 'got 100; allowed: a multiple of 8 in 32..256, see ModelLimits of GetModel' },
      { field: 'guidanceScale', description: 'got 99; allowed: 0..30' },
      { field: 'control[0].image', description: 'got no picture' },
      { field: 'eta', description: 'got 2; allowed: 0..1' },
    ] });
    expect(fields).toEqual({
      width: 'Got 100. Allowed: a multiple of 8 in 32..256', guidance: 'Got 99. Allowed: 0..30', sketch: 'got no picture',
    });
    expect(rest).toEqual(['eta: got 2; allowed: 0..1']);
  });
  test('are worded kindly', () => {
    expect(kindly({ reason: 'QUEUE_FULL', retryAfterMs: 2500 })).toMatch(/in a moment\. It expects to have room in 2\.5 s\.$/);
    expect(kindly({ reason: 'NEVER_HEARD_OF', message: 'the words of the server' })).toBe('the words of the server');
    expect(kindly({})).not.toBe('');
  });
  test('say whether the server is away', () => {
    expect(isOutage({ status: 'UNAVAILABLE' })).toBe(true);
    expect(isOutage({ status: 'UNAVAILABLE', reason: 'DRAINING' })).toBe(true);
    expect(isOutage({ status: 'UNAVAILABLE', reason: 'MODEL_FAILED' })).toBe(false);
    expect(isOutage({ status: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' })).toBe(false);
  });
});
