import { describe, expect, test } from 'vitest';

import { type Expected, type Owners, withOwners } from '../../src/scheduler/owners';
import { GUTTER, placed } from '../../src/scheduler/draw';
import { inWords } from '../../src/scheduler/readout';
import { isDenoise, MOST_COLUMNS, NOTHING, occupancy, type Timeline, withTick } from '../../src/scheduler/timeline';
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
    const mine: Owners = new Map([[7, { painting: 'a', index: 0, hue: 0, model: 'emoji', evaluations: 3 }]]);
    const column = columns[0];
    expect(column && inWords(column, mine)).toBe(
      'Tick 4 denoises · emoji · 2 pictures, 1 of this page · 4 rows · 2 joined · 1 done · 10 ms · 12 ms predicted');
  });
});

describe('whose a job is', () => {
  const own = (painting: string, evaluations: number, index = 0): Expected => ({ painting, index, hue: 0, model: 'emoji', evaluations });
  const job = (id: number, evaluations: number, model = 'emoji') => ({ job: id, model, evaluations });
  const names = (owners: Owners) => [...owners].map(([id, { painting, index }]) => `${id}=${painting}${index}`);

  test('goes by model and evaluations, in order of arrival', () => {
    const owners = withOwners(new Map(), [job(5, 20), job(4, 20), job(6, 30), job(7, 20, 'digits')], [own('a', 20), own('b', 20), own('c', 30)]);
    expect(names(owners)).toEqual(['4=a0', '5=b0', '6=c0']);
  });
  test('stays as it was, and nobody is owner twice', () => {
    const first = withOwners(new Map(), [job(4, 20)], [own('a', 20)]);
    const second = withOwners(first, [job(4, 20), job(5, 20)], [own('a', 20)]);
    expect(second).toBe(first);
    expect(names(withOwners(first, [job(5, 20)], [own('a', 20), own('a', 20, 1)]))).toEqual(['4=a0', '5=a1']);
  });
  test('somebody else’s stays somebody else’s', () => {
    expect(withOwners(new Map(), [job(4, 99)], [own('a', 20)]).size).toBe(0);
  });
});
