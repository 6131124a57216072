import { expect, test } from 'vitest';

import { refusalOf, sentenceOf } from '../../src/api/http';
import { counted, milliseconds, samplerName, scheduleName, spoken } from '../../src/api/units';

test.each([
  ['1.5s', 1500], ['0s', 0], ['0.014126190s', 14.12619], [undefined, undefined], ['soon', undefined],
])('the duration %s', (text, ms) => {
  if (ms === undefined) expect(milliseconds(text)).toBeUndefined();
  else expect(milliseconds(text)).toBeCloseTo(ms, 9);
});

test.each([
  [3.21, '3.2 ms'], [41.4, '41 ms'], [994, '994 ms'], [1234, '1.2 s'], [9949, '9.9 s'], [9950, '10 s'], [59_600, '1 min'],
  [125_000, '2 min 5 s'],
])('%d ms are said as %s', (ms, text) => expect(spoken(ms)).toBe(text));

test('names of the field, and of what the page has not heard of', () => {
  expect(samplerName('SAMPLER_DPMPP_2M')).toBe('DPM++ 2M');
  expect(samplerName('SAMPLER_EULER_ANCESTRAL')).toBe('Euler ancestral');
  expect(samplerName('SAMPLER_NEW_ONE')).toBe('New one');
  expect(scheduleName('SIGMA_SCHEDULE_KARRAS')).toBe('Karras');
  expect(counted(1, 'row')).toBe('1 row');
  expect(counted(0, 'row')).toBe('0 rows');
});

test('the sentence of an error, and nothing of a page of a proxy', () => {
  expect(sentenceOf('{"error":{"message":"no"}}')).toBe('no');
  expect(sentenceOf('{"message":"no"}')).toBe('no');
  expect(sentenceOf('{"error":"no"}')).toBe('no');
  expect(sentenceOf('plain')).toBe('plain');
  expect(sentenceOf('<html>502</html>')).toBe('');
});

test('a refusal of the gateway, or of what stands before it', () => {
  const refusal = { status: 'RESOURCE_EXHAUSTED', reason: 'CLIENT_LIMIT', message: 'you have 16 calls here already' };
  expect(refusalOf(429, JSON.stringify({ error: refusal }))).toEqual(refusal);
  expect(refusalOf(502, '<html>')).toEqual({ status: 'UNAVAILABLE', message: 'The gateway answered 502.' });
  expect(refusalOf(418, 'teapot')).toEqual({ status: 'UNKNOWN', message: 'teapot' });
});
