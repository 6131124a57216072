import { describe, expect, test } from 'vitest';

import { type Owners, withOwners } from '../../src/scheduler/owners';
import { GUTTER, placed } from '../../src/scheduler/draw';
import { inWords } from '../../src/scheduler/readout';
import { isDenoise, MOST_COLUMNS, NOTHING, occupancy, type Timeline, withTick } from '../../src/scheduler/timeline';
import { accepted, newPainting, type Painting } from '../../src/paintings/painting';
import { NO_INPUTS } from '../../src/canvas/inputs';
import type { Tick } from '../../src/api/wire';

const tick = (planId: number, jobs: [id: number, position: number][], changes: Tick = {}): Tick => ({
  device: 'cpu', planId: String(planId), key: { phase: 'TICK_PHASE_DENOISE', model: 'emoji', latentHeight: 16, latentWidth: 16 },
  rows: jobs.length * 2, jobs: jobs.map(([jobId, position]) => ({ jobId: String(jobId), position, evaluations: 3, rows: 2 })),
  measuredCost: '0.010s', startTime: new Date(planId * 10).toISOString(), ...changes,
});
const after = (...ticks: Tick[]): Timeline => ticks.reduce((sum, each) => withTick(sum, each), NOTHING);

describe('the timeline', () => {
  test('shows who joins and who is done', () => {
    const { columns } = after(tick(1, [[7, 0]]), tick(2, [[9, 0], [7, 1]]), tick(3, [[7, 2], [9, 1]]));
    expect(columns.map(({ cells }) => cells.map(({ job, joins, leaves }) => [job, joins, leaves]))).toEqual([
      [[7, true, false]], [[7, false, false], [9, true, false]], [[7, false, true], [9, false, false]],
    ]);
  });
  test('shows a failed picture as gone', () => {
    const { columns } = after(tick(1, [], { jobs: [{ jobId: 1, position: 0, evaluations: 3, failed: true }] }));
    expect(columns[0]?.cells[0]?.leaves).toBe(true);
  });
  test('joins are of denoising: words are read before', () => {
    const { columns } = after(tick(1, [[7, 0]], { key: { phase: 'TICK_PHASE_ENCODE', model: 'emoji' } }), tick(2, [[7, 0]]));
    expect(columns.map(({ cells }) => cells[0]?.joins)).toEqual([false, true]);
    expect(columns.map(isDenoise)).toEqual([false, true]);
  });
  test('tells of time in which nothing was done', () => {
    const { columns } = after(tick(1, [[7, 0]]), tick(2, [[7, 1]]), tick(200, [[8, 0]]));
    expect(columns.map(({ idleMs }) => idleMs)).toEqual([0, 0, 1970]);
  });
  test('keeps as much as a wide screen shows', () => {
    const all = Array.from({ length: MOST_COLUMNS + 5 }, (_, index) => tick(index, [[index, 0]]));
    const { columns } = after(...all);
    expect(columns.length).toBe(MOST_COLUMNS);
    expect(columns.at(-1)?.plan).toBe(MOST_COLUMNS + 4);
  });
  test('counts rows of denoise ticks alone', () => {
    const timeline = after(tick(1, [[1, 0]]), tick(2, [[1, 1], [2, 0]]), tick(3, [[1, 0]], { key: { phase: 'TICK_PHASE_DECODE' } }));
    expect(occupancy(timeline)).toEqual({ rows: 3, pictures: 2, ticks: 2 });
    expect(occupancy(NOTHING)).toEqual({ rows: 0, pictures: 0, ticks: 0 });
  });
  test('stands newest at the right, as far as there is room', () => {
    const { columns } = after(...Array.from({ length: 100 }, (_, index) => tick(index, [[1, 0]])));
    const shown = placed(columns, 240);
    expect(shown[0]?.[0].plan).toBe(99);
    expect(shown.every(([, left]) => left >= GUTTER && left < 240)).toBe(true);
    expect(shown.length).toBe(14);
  });
  test('a tick in words', () => {
    const { columns } = after(tick(4, [[7, 2], [9, 0]], { predictedCost: '0.012s' }));
    const mine: Owners = new Map([[7, { painting: 'a', index: 0, hue: 0 }]]);
    const column = columns[0];
    expect(column && inWords(column, mine)).toBe(
      'Tick 4 denoises · emoji · 2 pictures, 1 of this page · 4 rows · 2 joined · 1 done · 10 ms · 12 ms predicted');
  });
});

describe('whose a job is', () => {
  const own = (id: string, hue: number, jobIds: number[]): Painting =>
    accepted(newPainting(id, 0, hue, { imageCount: jobIds.length }, NO_INPUTS), { evaluations: 20, jobIds: jobIds.map(String) });
  const names = (owners: Owners) => [...owners].map(([job, { painting, index, hue }]) => `${job}=${painting}${index}:${hue}`);

  test('goes by number: equal requests keep their own colours, whoever is seen first', () => {
    expect(names(withOwners(new Map(), [own('b', 1, [4]), own('a', 0, [6, 5])]))).toEqual(['4=b0:1', '6=a0:0', '5=a1:0']);
  });
  test('stays when the picture is done', () => {
    const first = withOwners(new Map(), [own('a', 0, [4])]);
    expect(withOwners(first, [own('a', 0, [4])])).toBe(first);
    expect(withOwners(first, [])).toBe(first);
  });
  test('a number that a restarted server gives again is the newer one’s', () => {
    const first = withOwners(new Map(), [own('a', 0, [4])]);
    expect(names(withOwners(first, [own('b', 1, [4])]))).toEqual(['4=b0:1']);
    expect(withOwners(new Map(), [{ ...own('a', 0, [4]), status: 'waiting' }, { ...own('a', 0, [4]), status: 'sending' }]).size).toBe(0);
  });
  test('a server that names no jobs has none of this page', () => {
    expect(withOwners(new Map(), [own('a', 0, [])]).size).toBe(0);
  });
  test('the oldest are forgotten', () => {
    const many = Array.from({ length: 2001 }, (_, index) => index);
    const owners = withOwners(new Map(), [own('a', 0, many)]);
    expect([owners.size, owners.has(0), owners.has(2000)]).toEqual([2000, false, true]);
  });
});
