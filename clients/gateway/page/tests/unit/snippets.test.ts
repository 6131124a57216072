import { execFileSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { asCurl, asGrpcurl, asPython, plain } from '../../src/snippets/snippets';
import type { GenerateRequest } from '../../src/api/wire';

const NASTY = 'it\'s "a" $HOME `date` \\ back\nslash – 🦊 $(rm x) <END>';
const REQUEST: GenerateRequest = {
  model: 'emoji', prompt: NASTY, seed: '7', imageCount: 2, sampler: 'SAMPLER_EULER', guidanceScale: 2.5, sigmaSchedule: '',
  sentPictures: [], preview: { everyNSteps: 2 },
};
const WITH_PICTURES: GenerateRequest = { ...REQUEST, initImage: 'AAAA', maskImage: 'BBBB', control: [{ model: 'edges', image: 'CCCC', scale: 0.5 }] };

/** What a shell hands to a command that prints its arguments and its input. */
function run(command: string): { args: string[]; input: string } {
  const shell = `grpcurl() { printf '%s\\0' "$@"; printf '|'; [ -t 0 ] || cat; }; curl() { grpcurl "$@"; }; base64() { printf 'file:%s' "$2"; }\n${command}\n`;
  const printed = execFileSync('bash', ['-c', shell], { input: '', encoding: 'utf8' });
  const bar = printed.lastIndexOf('\0|');
  return { args: printed.slice(0, bar).split('\0'), input: printed.slice(bar + 2) };
}

describe('a command for the shell', () => {
  test('says what the request says, whatever its words', () => {
    const { args } = run(asGrpcurl(REQUEST, 'host:1'));
    expect(JSON.parse(args[2] ?? '')).toEqual({ model: 'emoji', prompt: NASTY, seed: 7, imageCount: 2, sampler: 'SAMPLER_EULER', guidanceScale: 2.5 });
    expect(args.slice(3)).toEqual(['host:1', 'stepcast.v1.ImageGenerationService/Generate']);
  });
  test('reads pictures from files', () => {
    const { args, input } = run(asGrpcurl(WITH_PICTURES));
    expect(args).toContain('@');
    expect(JSON.parse(input)).toMatchObject({
      prompt: NASTY, initImage: 'file:start.png', maskImage: 'file:mask.png', control: [{ model: 'edges', image: 'file:sketch.png', scale: 0.5 }],
    });
  });
  test('curl says the same to the gateway', () => {
    expect(JSON.parse(run(asCurl(REQUEST, 'http://x')).args.at(-1) ?? '')).toMatchObject({ prompt: NASTY, seed: 7 });
    expect(JSON.parse(run(asCurl(WITH_PICTURES, 'http://x')).input)).toMatchObject({ maskImage: 'file:mask.png' });
  });
});

describe('a program in Python', () => {
  const call = (request: GenerateRequest): unknown => {
    const fake = [
      'import json, sys, types', 'told = {}', 'class Client:', '  def __init__(self, address): pass', '  def __enter__(self): return self',
      '  def __exit__(self, *a): pass',
      '  def paint(self, *a, **k): told.update(k, args=a); return types.SimpleNamespace(images=[])',
      'sys.modules["stepcast"] = types.SimpleNamespace(Client=Client)', asPython(request), 'print(json.dumps(told))',
    ].join('\n');
    return JSON.parse(execFileSync('python3', ['-c', fake], { encoding: 'utf8' }));
  };
  test('says what the request says', () => {
    expect(call(REQUEST)).toEqual({ args: [NASTY], model: 'emoji', seed: 7, image_count: 2, sampler: 'euler', guidance_scale: 2.5 });
  });
  test('names files for pictures', () => {
    expect(call(WITH_PICTURES)).toMatchObject({ init_image: 'start.png', mask_image: 'mask.png', control: [{ model: 'edges', image: 'sketch.png', scale: 0.5 }] });
  });
});

test('the files that a request needs', () => {
  expect(plain(REQUEST).files).toEqual([]);
  expect(plain(WITH_PICTURES).files).toEqual(['start.png', 'mask.png', 'sketch.png']);
  expect(WITH_PICTURES.initImage).toBe('AAAA');
});
