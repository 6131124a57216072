// One request of this page and what is known of it: a record that events turn into the next one.
import type { Accepted, Completed, GenerateRequest, Progress, Refusal } from '../api/wire';
import { milliseconds } from '../api/units';
import type { Inputs } from '../canvas/inputs';

/** waiting: the server is away, and the request will be sent again. */
export type Status = 'sending' | 'queued' | 'painting' | 'waiting' | 'done' | 'failed' | 'cancelled';

/** One picture of a request. */
export interface Frame {
  step: number;
  steps: number;
  done: number;
  total: number;
  ahead: number;
  etaMs: number | undefined;
  /** Of the newest preview; "" before the first. */
  preview: string;
  finished: boolean;
}

export interface Painting {
  id: string;
  startedAt: number;
  /** Its colour: an index of the palette. */
  hue: number;
  /** As it was sent; once accepted, with the seed that the server drew. */
  request: GenerateRequest;
  inputs: Inputs;
  status: Status;
  frames: Frame[];
  accepted: Accepted | undefined;
  completed: Completed | undefined;
  refusal: Refusal | undefined;
  tries: number;
}

const BLANK_FRAME: Frame = {
  step: 0, steps: 0, done: 0, total: 0, ahead: 0, etaMs: undefined, preview: '', finished: false,
};

export const isLive = ({ status }: Painting): boolean =>
  status === 'sending' || status === 'queued' || status === 'painting' || status === 'waiting';

export function newPainting(
  id: string, startedAt: number, hue: number, request: GenerateRequest, inputs: Inputs,
): Painting {
  const frames = Array.from({ length: request.imageCount ?? 1 }, () => BLANK_FRAME);
  return {
    id, startedAt, hue, request, inputs, status: 'sending', frames, accepted: undefined, completed: undefined,
    refusal: undefined, tries: 0,
  };
}

function withFrame(painting: Painting, index: number, change: Partial<Frame>): Painting {
  return { ...painting, frames: painting.frames.map((frame, at) => (at === index ? { ...frame, ...change } : frame)) };
}

export function accepted(painting: Painting, event: Accepted): Painting {
  const seed = event.request?.seed;
  return {
    ...painting,
    status: 'queued',
    accepted: event,
    refusal: undefined,
    // With its seed the same request can be sent again when the server was away, and paints the same.
    request: seed === undefined ? painting.request : { ...painting.request, seed },
    frames: painting.frames.map((frame) => (frame.finished ? frame : {
      ...BLANK_FRAME, preview: frame.preview, steps: event.request?.steps ?? 0, total: event.evaluations ?? 0,
      ahead: event.queuePosition ?? 0,
    })),
  };
}

export function progressed(painting: Painting, event: Progress): Painting {
  const done = event.evaluationsDone ?? 0;
  const moved = withFrame(painting, event.imageIndex ?? 0, {
    step: event.step ?? 0, steps: event.steps ?? 0, done, total: event.evaluationsTotal ?? 0,
    ahead: event.queuePosition ?? 0, etaMs: milliseconds(event.eta),
  });
  return done > 0 && moved.status === 'queued' ? { ...moved, status: 'painting' } : moved;
}

export const previewed = (painting: Painting, index: number, url: string): Painting =>
  withFrame(painting, index, { preview: url });

export const finished = (painting: Painting, index: number): Painting => withFrame(painting, index, { finished: true });

/** 0 .. 1 of one picture. */
export const fractionOf = ({ done, total, finished: isDone }: Frame): number =>
  isDone ? 1 : total > 0 ? Math.min(1, done / total) : 0;

/** 0 .. 1 of all its pictures. */
export const fractionOfAll = ({ frames }: Painting): number =>
  frames.reduce((sum, frame) => sum + fractionOf(frame), 0) / Math.max(1, frames.length);

/** What a request paints, in a few words. */
export function titleOf(request: GenerateRequest, classLabel?: string): string {
  if (request.prompt !== undefined) return request.prompt.trim() || 'No words';
  if (request.classIndex !== undefined) return classLabel ?? `Class ${request.classIndex}`;
  return 'Anything';
}
