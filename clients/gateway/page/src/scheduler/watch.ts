// The scheduler as this page sees it.
import { computed, effect, signal } from '@preact/signals';

import { type Owners, withOwners } from './owners';
import { isDenoise, NOTHING, type Timeline, withTick } from './timeline';
import { getJson } from '../api/http';
import { info } from '../api/server';
import { followTicks, type TicksState } from '../api/ticks';
import type { Schedule, WatchTicksResponse } from '../api/wire';
import { paintings } from '../paintings/paintings';

export const ticksState = signal<TicksState>('connecting');
export const ticksSentence = signal('');
export const timeline = signal<Timeline>(NOTHING);
export const owners = signal<Owners>(new Map());
export const paused = signal(false);
const schedule = signal<Schedule>({});

/** Rows that fit a tick, and the fewest that are worth most, for the kind of work that was done last. */
export const capacity = computed(() => {
  const last = timeline.value.columns.findLast(isDenoise);
  const ofDevice = info.value.devices?.find(({ name }) => last === undefined || name === last.device)?.maxRows ?? 16;
  const costs = schedule.value.devices?.flatMap(({ costs: each }) => each ?? []) ?? [];
  const cost = last === undefined ? undefined : costs.find(({ key }) =>
    key?.phase === last.phase && key.model === last.model && `${key.latentWidth ?? 0}×${key.latentHeight ?? 0}` === last.latent);
  return { cap: cost?.rowCap ?? ofDevice, knee: cost?.knee };
});

/** Pictures that wait, by the newest answer of the server. */
export const queued = computed(() => info.value.queue?.waiting ?? 0);

/** Ticks come faster than the screen is drawn: they are taken together, once a frame. */
let arrived: WatchTicksResponse[] = [];

function takeTicks(): void {
  const taken = arrived;
  arrived = [];
  timeline.value = taken.reduce((sum, { tick, dropped }) => (tick ? withTick(sum, tick, Number(dropped ?? 0)) : sum), timeline.value);
}

function onTick(message: WatchTicksResponse): void {
  if (paused.value) return;
  arrived.push(message);
  if (arrived.length === 1) requestAnimationFrame(takeTicks);
}

effect(() => {
  owners.value = withOwners(owners.peek(), paintings.value);
});

/** Knee and cap, where the gateway tells them. They change as the server learns what work costs. */
async function readSchedule(): Promise<void> {
  schedule.value = await getJson<Schedule>('api/schedule').catch(() => schedule.peek());
}

const SCHEDULE_MS = 10_000;

export function watchScheduler(signal: AbortSignal): void {
  void readSchedule();
  const timer = setInterval(() => void readSchedule(), SCHEDULE_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  const onState = (state: TicksState, sentence: string) => {
    // A server that restarted counts its jobs from the beginning.
    if (state === 'live' && ticksState.value === 'away') {
      timeline.value = NOTHING;
      owners.value = withOwners(new Map(), paintings.value);
      void readSchedule();
    }
    ticksState.value = state;
    ticksSentence.value = sentence;
  };
  void followTicks({ onState, onTick }, signal);
}
