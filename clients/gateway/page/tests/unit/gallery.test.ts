import 'fake-indexeddb/auto';

import { expect, test } from 'vitest';

import { bounded, newestFirst } from '../../src/gallery/bounds';
import { readAll } from '../../src/gallery/database';
import type { Entry } from '../../src/gallery/entry';
import { addPicture, addShare, forget, openGallery, pictures } from '../../src/gallery/gallery';
import { NO_INPUTS } from '../../src/canvas/inputs';

function entry(painting: string, index: number, startedAt: number, bytes = 10): Entry {
  return {
    id: `${painting}:${index}`, painting, startedAt, index, request: { prompt: painting }, title: painting, modelName: 'Emoji',
    inputs: NO_INPUTS, seed: 7 + index, width: 64, height: 64, mime: 'image/png', sha256: '', warnings: [], share: undefined,
    picture: new Blob([new Uint8Array(bytes)], { type: 'image/png' }),
  };
}

test('the newest request first, its pictures in order', () => {
  const entries = [entry('a', 0, 1), entry('b', 1, 2), entry('b', 0, 2), entry('c', 0, 2)].sort(newestFirst);
  expect(entries.map(({ id }) => id)).toEqual(['c:0', 'b:0', 'b:1', 'a:0']);
});

test('what there is no room for goes, the newest stays', () => {
  const entries = [entry('c', 0, 3, 50), entry('b', 0, 2, 50), entry('a', 0, 1, 50)];
  expect(bounded(entries, 2, 1000).kept.map(({ painting }) => painting)).toEqual(['c', 'b']);
  expect(bounded(entries, 9, 100).gone.map(({ painting }) => painting)).toEqual(['a']);
  expect(bounded(entries, 9, 10).kept.map(({ painting }) => painting)).toEqual(['c']);
});

test('pictures are kept, told more of, and forgotten', async () => {
  addPicture(entry('a', 0, 1), 3);
  addPicture(entry('b', 0, 2), 4);
  addPicture(entry('b', 0, 2), 4);  // sent twice
  expect(pictures.value.map(({ id }) => id)).toEqual(['b:0', 'a:0']);
  addShare('a', { totalMs: 12, queuedMs: 1, meanRows: 4 });
  await expect.poll(async () => (await readAll()).find(({ id }) => id === 'a:0')?.share?.meanRows).toBe(4);
  const kept = await readAll();
  expect(kept.every((each) => !('url' in each) && !('hue' in each))).toBe(true);
  pictures.value = [];
  await openGallery();
  expect(pictures.value.map(({ id, hue }) => [id, hue])).toEqual([['b:0', undefined], ['a:0', undefined]]);
  forget(['b:0']);
  expect(pictures.value.map(({ id }) => id)).toEqual(['a:0']);
  await expect.poll(async () => (await readAll()).map(({ id }) => id)).toEqual(['a:0']);
});
