// Painting for the dialects: any number of pictures, in as many calls as the server needs for them.
import { randomInt } from 'node:crypto';

import type { CallOptions, GenerateOptions, ImageEvent, Result, StepcastEvent } from '@stepcast/client';

import type { Caller } from '../callers.js';
import type { Gateway } from '../gateway.js';

export interface PaintCall {
  caller: Caller;
  signal: AbortSignal;
  requestId: string;
  /** Default: limits.call_timeout. */
  timeoutMs?: number;
  onEvent?: (event: StepcastEvent) => void;
}

/** Words that were read, and what the pictures took, where the server tells. */
export interface Usage {
  text_tokens: number;
  row_evaluations?: number;
  device_seconds?: number;
}

/** Pictures in the order of their index, and what the server understood. */
export type Painting = Pick<Result, 'images' | 'request' | 'warnings'> & { usage: Usage };

interface Part {
  first: number;
  wish: GenerateOptions;
}

/** Each part has the seeds that one call for all would have given its pictures. */
function partsOf(wish: GenerateOptions, most: number): Part[] {
  const all = wish.imageCount ?? 1;
  if (all <= most) return [{ first: 0, wish }];
  const seed = wish.seed ?? randomInt(2 ** 32 - all);
  const parts: Part[] = [];
  for (let first = 0; first < all; first += most) {
    parts.push({ first, wish: { ...wish, seed: seed + first, imageCount: Math.min(most, all - first) } });
  }
  return parts;
}

function shifted(event: StepcastEvent, first: number): StepcastEvent {
  return 'imageIndex' in event ? { ...event, imageIndex: event.imageIndex + first } : event;
}

/** Every part reads the same words. */
function usageOf(results: Result[]): Usage {
  const costs = results.flatMap((result) => result.completed?.cost ?? []);
  const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
  return {
    text_tokens: total(results[0]!.prompts.map(({ tokens }) => tokens)),
    ...(costs.length < results.length ? {} : {
      row_evaluations: total(costs.map((cost) => cost.rowEvaluations)), device_seconds: total(costs.map((cost) => cost.deviceSeconds)),
    }),
  };
}

/** Paints all or throws; one part that fails ends the others. */
export async function paint(gateway: Gateway, call: PaintCall, wish: GenerateOptions): Promise<Painting> {
  const { upstream, config } = gateway;
  const parts = partsOf(wish, (await upstream.limits(call.caller)).maxImageCount);
  const failed = new AbortController();
  const options: CallOptions = {
    metadata: call.caller.metadata, timeoutMs: call.timeoutMs ?? config.limits.call_timeout, requestId: call.requestId,
    signal: AbortSignal.any([call.signal, failed.signal]),
  };
  const results = await Promise.all(parts.map(async (part) => {
    try {
      const onEvent = (event: StepcastEvent): void => call.onEvent?.(shifted(event, part.first));
      return await upstream.client.paint(part.wish, { ...options, onEvent });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }));
  const images = results.flatMap((result, i): ImageEvent[] =>
    result.images.map((image) => ({ ...image, imageIndex: image.imageIndex + parts[i]!.first })));
  const warnings = [...new Set(results.flatMap((result) => result.warnings))];
  return { images, request: results[0]!.request, warnings, usage: usageOf(results) };
}
