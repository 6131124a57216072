// What the page knows of the server, and whether it is there.
import { computed, signal } from '@preact/signals';

import { getJson, HttpError } from './http';
import type { Adapter, Model, ModelList, ServerInfo } from './wire';

export type Presence = 'connecting' | 'serving' | 'loading' | 'draining' | 'away' | 'locked';

export const presence = signal<Presence>('connecting');
export const info = signal<ServerInfo>({});
export const models = signal<Model[]>([]);
export const adapters = signal<Adapter[]>([]);
const defaultModel = signal('');

export const firstModel = computed(() =>
  models.value.find(({ id }) => id === defaultModel.value) ?? models.value[0]);

const CALM_MS = 5000;
const EAGER_MS = 1000;

let waiting: (() => void)[] = [];

/** Resolves when the server takes work. */
export function serving(): Promise<void> {
  return presence.value === 'serving' ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
}

/** Somebody has seen that the server is away: look sooner than later. */
export function suspectOutage(): void {
  if (presence.value === 'serving') presence.value = 'away';
  schedule(EAGER_MS);
}

async function loadModels(): Promise<void> {
  const [list, loras] = await Promise.all([
    getJson<ModelList>('api/models'),
    getJson<{ adapters?: Adapter[] }>('api/adapters').catch(() => ({ adapters: [] })),
  ]);
  models.value = list.models ?? [];
  defaultModel.value = list.default ?? '';
  adapters.value = loras.adapters ?? [];
}

const STATES: Record<string, Presence> = { SERVING_STATE_LOADING: 'loading', SERVING_STATE_DRAINING: 'draining' };

async function look(): Promise<Presence> {
  try {
    const answer = await getJson<ServerInfo>('api/server');
    info.value = answer;
    const state = STATES[answer.state ?? ''] ?? 'serving';
    // After an outage it may be another server, with other models.
    if (state === 'serving' && (presence.value !== 'serving' || models.value.length === 0)) await loadModels();
    return state;
  } catch (error) {
    const status = error instanceof HttpError ? error.status : 0;
    return status === 401 || status === 403 ? 'locked' : 'away';
  }
}

let timer: ReturnType<typeof setTimeout> | undefined;

function schedule(after: number): void {
  clearTimeout(timer);
  timer = setTimeout(() => void watchServer(), after);
}

/** Looks now, and goes on looking for as long as the page is there. */
export async function watchServer(): Promise<void> {
  clearTimeout(timer);
  presence.value = await look();
  if (presence.value === 'serving') {
    const told = waiting;
    waiting = [];
    told.forEach((tell) => tell());
  }
  schedule(presence.value === 'serving' ? CALM_MS : EAGER_MS);
}
