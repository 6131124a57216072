// What the timeline shows: the newest ticks as columns, their rows as cells. A record that ticks turn into the next one.
import type { Tick, TickJob } from '../api/wire';
import { milliseconds, whole } from '../api/units';

export interface Cell {
  job: number;
  rows: number;
  /** Evaluations done before the tick, of how many. */
  position: number;
  evaluations: number;
  /** Its first tick, as far as this page has seen. */
  joins: boolean;
  /** Its last evaluation. */
  leaves: boolean;
}

export interface Column {
  plan: number;
  device: string;
  phase: string;
  model: string;
  latent: string;
  rows: number;
  cells: Cell[];
  predictedMs: number | undefined;
  measuredMs: number | undefined;
  startMs: number;
  /** Nothing was done for so long before it. */
  idleMs: number;
}

export interface Timeline {
  columns: Column[];
  /** Jobs that were seen, with the plan that saw them last. */
  seen: ReadonlyMap<number, number>;
  dropped: number;
}

export const NOTHING: Timeline = { columns: [], seen: new Map(), dropped: 0 };

/** More than the widest screen shows. */
export const MOST_COLUMNS = 600;
const MOST_SEEN = 2000;
const SHORTEST_IDLE_MS = 150;

export const isDenoise = ({ phase }: { phase: string }): boolean => phase === 'TICK_PHASE_DENOISE';

function cellOf(job: TickJob, denoises: boolean, seen: ReadonlyMap<number, number>): Cell {
  const position = job.position ?? 0;
  const evaluations = job.evaluations ?? 0;
  return {
    job: whole(job.jobId),
    rows: job.rows ?? 1,
    position,
    evaluations,
    joins: denoises && !seen.has(whole(job.jobId)),
    leaves: denoises && (position + 1 >= evaluations || job.failed === true),
  };
}

export function columnOf(tick: Tick, before: Timeline): Column {
  const phase = tick.key?.phase ?? '';
  const last = before.columns.at(-1);
  const startMs = Date.parse(tick.startTime ?? '') || 0;
  const quiet = last === undefined ? 0 : startMs - last.startMs - (last.measuredMs ?? 0);
  return {
    plan: whole(tick.planId),
    device: tick.device ?? '',
    phase,
    model: tick.key?.model ?? '',
    latent: tick.key?.latentHeight === undefined ? '' : `${tick.key.latentWidth ?? 0}×${tick.key.latentHeight}`,
    rows: tick.rows ?? 0,
    // Older pictures below: those above fall when one leaves.
    cells: (tick.jobs ?? [])
      .map((job) => cellOf(job, isDenoise({ phase }), before.seen))
      .sort((a, b) => a.job - b.job),
    predictedMs: milliseconds(tick.predictedCost),
    measuredMs: milliseconds(tick.measuredCost),
    startMs,
    idleMs: quiet >= SHORTEST_IDLE_MS ? quiet : 0,
  };
}

export function withTick(timeline: Timeline, tick: Tick, dropped = 0): Timeline {
  const column = columnOf(tick, timeline);
  const seen = new Map(timeline.seen);
  if (isDenoise(column)) for (const { job } of column.cells) seen.set(job, column.plan);
  for (const job of seen.keys()) {
    if (seen.size <= MOST_SEEN) break;
    seen.delete(job);  // the oldest first
  }
  return { columns: [...timeline.columns, column].slice(-MOST_COLUMNS), seen, dropped };
}

export interface Occupancy {
  /** Mean rows of the newest denoise ticks. */
  rows: number;
  /** Pictures that stepped in the newest denoise tick. */
  pictures: number;
  ticks: number;
}

/** Of the newest `most` denoise ticks. */
export function occupancy({ columns }: Timeline, most = 60): Occupancy {
  const newest = columns.filter(isDenoise).slice(-most);
  const rows = newest.reduce((sum, column) => sum + column.rows, 0) / Math.max(1, newest.length);
  return { rows, pictures: newest.at(-1)?.cells.length ?? 0, ticks: newest.length };
}
