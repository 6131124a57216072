// Paints: the events of one request.
import { Channel } from './channel';
import type { ServerEvent } from './events';
import { refusalOf } from './http';
import { CUT, listen, unlisten } from './session';
import type { Accepted, Completed, GenerateRequest, Picture, Preview, Progress, Refusal } from './wire';

export type PaintEvent =
  | { name: 'accepted'; data: Accepted }
  | { name: 'progress'; data: Progress }
  | { name: 'preview'; data: Preview }
  | { name: 'image'; data: Picture }
  | { name: 'completed'; data: Completed }
  | { name: 'error'; data: Refusal };

const NAMES = ['accepted', 'progress', 'preview', 'image', 'completed', 'error'];

const BROKEN: Refusal = { status: 'UNAVAILABLE', message: 'The connection broke.' };
const broken: PaintEvent = { name: 'error', data: BROKEN };

let calls = 0;

async function send(session: string, name: string, request: GenerateRequest): Promise<Refusal | undefined> {
  const response = await fetch(`api/session/${session}/${name}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request),
  });
  if (response.ok) return undefined;
  const refusal = refusalOf(response.status, await response.text());
  return refusal.reason === 'NO_SUCH_SESSION' ? BROKEN : refusal;
}

async function* events(incoming: Channel<ServerEvent>): AsyncGenerator<PaintEvent, void> {
  for await (const event of incoming) {
    if (event === CUT) {
      yield broken;
      return;
    }
    if (!NAMES.includes(event.name)) continue;
    yield { name: event.name, data: JSON.parse(event.data) as unknown } as PaintEvent;
    if (event.name === 'completed' || event.name === 'error') return;
  }
}

/** Ends after `completed` or `error`. A broken connection is an `error`, too. Aborting cancels, and ends it. */
export async function* paint(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<PaintEvent, void> {
  const name = `${Date.now().toString(36)}-${++calls}`;
  const incoming = new Channel<ServerEvent>();
  let session: string | undefined;
  signal.addEventListener('abort', () => incoming.shut());
  try {
    session = await listen(name, (event) => incoming.push(event));
    const refusal = await send(session, name, request);
    if (refusal !== undefined) yield { name: 'error', data: refusal };
    else yield* events(incoming);
  } catch {
    if (!signal.aborted) yield broken;
  } finally {
    unlisten(name);
    if (signal.aborted && session !== undefined) {
      void fetch(`api/session/${session}/${name}`, { method: 'DELETE', keepalive: true }).catch(() => undefined);
    }
  }
}
