// The stream of ticks, for as long as somebody looks.
import { readEvents } from './events';
import { sentenceOf } from './http';
import type { WatchTicksResponse } from './wire';

/** shut: the gateway was not told where the scheduler can be watched. */
export type TicksState = 'connecting' | 'live' | 'away' | 'shut';

export interface TicksListener {
  onState: (state: TicksState, sentence: string) => void;
  onTick: (message: WatchTicksResponse) => void;
}

const RETRY_MS = 1500;

async function follow(listener: TicksListener, signal: AbortSignal): Promise<void> {
  const response = await fetch('api/ticks', { signal, cache: 'no-store' });
  if (!response.ok || response.body === null) {
    listener.onState(response.status === 503 ? 'shut' : 'away', sentenceOf(await response.text()));
    return;
  }
  listener.onState('live', '');
  for await (const { name, data } of readEvents(response.body)) {
    if (name === 'error') break;
    const message = JSON.parse(data) as WatchTicksResponse;
    if (message.tick !== undefined) listener.onTick(message);
  }
  if (!signal.aborted) listener.onState('away', '');
}

/** Follows until `signal` aborts, again and again where it breaks. */
export async function followTicks(listener: TicksListener, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await follow(listener, signal).catch(() => {
      if (!signal.aborted) listener.onState('away', '');
    });
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
