// Paints: the events of one request.
import { readEvents } from './events';
import { refusalOf } from './http';
import type { Accepted, Completed, GenerateRequest, Picture, Preview, Progress, Refusal } from './wire';

export type PaintEvent =
  | { name: 'accepted'; data: Accepted }
  | { name: 'progress'; data: Progress }
  | { name: 'preview'; data: Preview }
  | { name: 'image'; data: Picture }
  | { name: 'completed'; data: Completed }
  | { name: 'error'; data: Refusal };

const NAMES = ['accepted', 'progress', 'preview', 'image', 'completed', 'error'];

const cut: PaintEvent = { name: 'error', data: { status: 'UNAVAILABLE', message: 'The connection broke.' } };

/** Ends after `completed` or `error`. A broken connection is an `error`, too. Aborting cancels, and ends it. */
export async function* paint(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<PaintEvent, void> {
  try {
    const response = await fetch('api/paint', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request), signal,
    });
    if (!response.ok || response.body === null) {
      yield { name: 'error', data: refusalOf(response.status, await response.text()) };
      return;
    }
    for await (const { name, data } of readEvents(response.body)) {
      if (!NAMES.includes(name)) continue;
      yield { name, data: JSON.parse(data) as unknown } as PaintEvent;
      if (name === 'completed' || name === 'error') return;
    }
    if (!signal.aborted) yield cut;
  } catch {
    if (!signal.aborted) yield cut;
  }
}
