// The one connection on which the events of all requests of this page come. It is opened with the first request and shut
// a while after the last: a browser has six connections to an origin, for all its pages together.
import { readEvents, type ServerEvent } from './events';

type Listener = (event: ServerEvent) => void;

const LINGER_MS = 3000;
/** What listeners are told when the connection breaks. */
export const CUT: ServerEvent = { name: 'cut', data: '' };

const listeners = new Map<string, Listener>();
let opening: Promise<string> | undefined;
let closing: AbortController | undefined;
let lingering: ReturnType<typeof setTimeout> | undefined;

function broke(): void {
  opening = undefined;
  const told = [...listeners.values()];
  listeners.clear();
  told.forEach((tell) => tell(CUT));
}

async function dispatch(events: AsyncIterable<ServerEvent>): Promise<void> {
  for await (const { name, data } of events) {
    const parsed = JSON.parse(data) as { name?: string; data?: unknown };
    listeners.get(parsed.name ?? '')?.({ name, data: JSON.stringify(parsed.data) });
  }
}

async function open(signal: AbortSignal): Promise<string> {
  const response = await fetch('api/session', { signal, cache: 'no-store' });
  if (!response.ok || response.body === null) throw new Error(`the gateway answered ${response.status}`);
  const events = readEvents(response.body);
  const first = await events.next();
  if (first.done === true) throw new Error('the gateway ended the session');
  void dispatch(events).catch(() => undefined).finally(() => {
    // One that was shut on purpose says nothing of the one after it.
    if (!signal.aborted) broke();
  });
  return (JSON.parse(first.value.data) as { id: string }).id;
}

/** Listens to the events of `name`. Resolves with the id of the session, rejects where there is none to be had. */
export async function listen(name: string, listener: Listener): Promise<string> {
  clearTimeout(lingering);
  listeners.set(name, listener);
  if (opening === undefined) {
    closing = new AbortController();
    opening = open(closing.signal);
  }
  try {
    return await opening;
  } catch (error) {
    listeners.delete(name);
    opening = undefined;
    throw error;
  }
}

export function unlisten(name: string): void {
  listeners.delete(name);
  clearTimeout(lingering);
  if (listeners.size > 0) return;
  lingering = setTimeout(() => {
    closing?.abort();
    opening = undefined;
  }, LINGER_MS);
}
