// The requests of this page that are not done: they are sent, watched, cancelled, and sent again after an outage.
import { signal } from '@preact/signals';

import { accepted, finished, isLive, newPainting, type Painting, previewed, progressed } from './painting';
import { entryOf } from './to_entry';
import { paint, type PaintEvent } from '../api/paint';
import { serving, suspectOutage } from '../api/server';
import type { GenerateRequest, Refusal } from '../api/wire';
import { bytesOf } from '../canvas/encode';
import type { Inputs } from '../canvas/inputs';
import { addPicture, addShare } from '../gallery/gallery';
import { shareOf } from '../gallery/share';
import { announce } from '../parts/announcer';
import { isOutage, kindly } from '../settings/refusal_words';

export const paintings = signal<Painting[]>([]);
/** The newest refusal that is about fields of the form. */
export const refused = signal<Refusal | undefined>(undefined);
/** The seed of the picture that was begun last. */
export const lastSeed = signal<number | undefined>(undefined);

export const HUES = 8;
/** A server that fails each time it comes back is not tried for ever. */
const MOST_TRIES = 20;

const aborts = new Map<string, AbortController>();
let begun = 0;

function change(id: string, make: (painting: Painting) => Painting): void {
  paintings.value = paintings.value.map((painting) => (painting.id === id ? make(painting) : painting));
}

function find(id: string): Painting | undefined {
  return paintings.value.find((painting) => painting.id === id);
}

export function start(request: GenerateRequest, inputs: Inputs): string {
  const now = Date.now();
  const id = `${now.toString(36)}-${begun}`;
  paintings.value = [newPainting(id, now, begun++ % HUES, request, inputs), ...paintings.value];
  refused.value = undefined;
  void run(id);
  return id;
}

export function retry(id: string): void {
  change(id, (painting) => ({ ...painting, status: 'sending', refusal: undefined, tries: 0 }));
  void run(id);
}

export function dismiss(id: string): void {
  aborts.get(id)?.abort();
  find(id)?.frames.forEach(({ preview }) => URL.revokeObjectURL(preview));
  paintings.value = paintings.value.filter((painting) => painting.id !== id);
}

export function cancel(id: string): void {
  if (find(id) === undefined) return;
  dismiss(id);
  announce('Cancelled.');
}

export function cancelAll(): void {
  paintings.value.filter(isLive).forEach(({ id }) => cancel(id));
}

async function run(id: string): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; ++tries) {
    const painting = find(id);
    if (painting === undefined) return;
    const refusal = await attempt(painting);
    if (refusal === undefined || find(id) === undefined) return;
    if (!isOutage(refusal)) {
      fail(id, refusal);
      return;
    }
    suspectOutage();
    change(id, (each) => ({ ...each, status: 'waiting', refusal, tries: tries + 1 }));
    if (tries === 0) announce('The server is away. What was being painted will be painted when it is back.');
    await serving();
  }
  fail(id, { message: 'The server went away again and again while this was painted.' });
}

/** One call. Returns why it failed, if it did. */
async function attempt(painting: Painting): Promise<Refusal | undefined> {
  const abort = new AbortController();
  aborts.set(painting.id, abort);
  try {
    for await (const event of paint(painting.request, abort.signal)) {
      if (abort.signal.aborted) return undefined;
      if (event.name === 'error') return event.data;
      take(painting.id, event);
    }
    return undefined;
  } finally {
    aborts.delete(painting.id);
  }
}

function take(id: string, event: Exclude<PaintEvent, { name: 'error' }>): void {
  switch (event.name) {
    case 'accepted':
      change(id, (painting) => accepted(painting, event.data));
      if (event.data.request?.seed !== undefined) lastSeed.value = Number(event.data.request.seed);
      return;
    case 'progress':
      change(id, (painting) => progressed(painting, event.data));
      return;
    case 'preview': {
      const index = event.data.imageIndex ?? 0;
      URL.revokeObjectURL(find(id)?.frames[index]?.preview ?? '');
      const blob = new Blob([bytesOf(event.data.data ?? '')], { type: event.data.mime ?? 'image/jpeg' });
      change(id, (painting) => previewed(painting, index, URL.createObjectURL(blob)));
      return;
    }
    case 'image': {
      const painting = find(id);
      if (painting === undefined) return;
      const index = event.data.imageIndex ?? 0;
      addPicture(entryOf(painting, event.data), painting.hue);
      change(id, (each) => finished(each, index));
      return;
    }
    case 'completed': {
      const painting = find(id);
      if (painting === undefined) return;
      addShare(id, shareOf(event.data));
      announce(`Done: ${entryTitle(painting)}.`);
      dismiss(id);
      return;
    }
  }
}

const entryTitle = ({ request }: Painting): string => request.prompt ?? 'a picture';

function fail(id: string, refusal: Refusal): void {
  announce(kindly(refusal));
  if ((refusal.violations ?? []).length > 0) {
    refused.value = refusal;
    dismiss(id);
  } else {
    change(id, (painting) => ({ ...painting, status: 'failed', refusal }));
  }
}
