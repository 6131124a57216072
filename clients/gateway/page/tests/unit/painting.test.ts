import { expect, test } from 'vitest';

import { accepted, finished, fractionOfAll, isLive, newPainting, previewed, progressed, titleOf } from '../../src/paintings/painting';
import { NO_INPUTS } from '../../src/canvas/inputs';

const begun = () => newPainting('p', 1, 0, { prompt: 'a pear', imageCount: 2 }, NO_INPUTS);
const taken = () => accepted(begun(), { request: { seed: '7', steps: 20 }, evaluations: 20, queuePosition: 3 });

test('an accepted request has the seed of the server, so that it can be sent again', () => {
  const painting = taken();
  expect(painting.request.seed).toBe('7');
  expect(painting.status).toBe('queued');
  expect(painting.frames.map(({ ahead, total }) => [ahead, total])).toEqual([[3, 20], [3, 20]]);
});

test('progress is of one picture, and makes it painting', () => {
  const waiting = progressed(taken(), { imageIndex: 1, queuePosition: 2, evaluationsTotal: 20 });
  expect(waiting.status).toBe('queued');
  const moving = progressed(waiting, { imageIndex: 1, step: 5, steps: 20, evaluationsDone: 5, evaluationsTotal: 20, eta: '1.5s' });
  expect(moving.status).toBe('painting');
  expect(moving.frames[1]).toMatchObject({ step: 5, ahead: 0, etaMs: 1500 });
  expect(moving.frames[0]?.done).toBe(0);
  expect(fractionOfAll(moving)).toBe(0.125);
});

test('what is sent again keeps its previews and what is finished', () => {
  const before = finished(previewed(taken(), 0, 'blob:x'), 1);
  const again = accepted(before, { request: { seed: '7', steps: 20 }, evaluations: 20 });
  expect(again.frames.map(({ preview, finished: done }) => [preview, done])).toEqual([['blob:x', false], ['', true]]);
});

test('which are still of interest', () => {
  expect(isLive(begun())).toBe(true);
  expect(isLive({ ...begun(), status: 'waiting' })).toBe(true);
  expect(isLive({ ...begun(), status: 'failed' })).toBe(false);
});

test('what it is, in a few words', () => {
  expect(titleOf({ prompt: ' a pear ' })).toBe('a pear');
  expect(titleOf({ prompt: '' })).toBe('No words');
  expect(titleOf({ classIndex: 3 }, 'three')).toBe('three');
  expect(titleOf({ classIndex: 3 })).toBe('Class 3');
  expect(titleOf({})).toBe('Anything');
});
