// The form: its settings, kept in the browser, and what the server found wrong with them.
import { computed, effect, signal } from '@preact/signals';

import { adaptersOf, movedTo, sizeOf } from './model_choices';
import { requestOf } from './request';
import { BLANK, revived, type Settings } from './settings';
import { type FieldErrors, sortedOut } from './violations';
import { adapters, firstModel, info, models } from '../api/server';
import { encoded, inputs } from '../canvas/inputs';
import { announce } from '../parts/announcer';
import { lastSeed, refused, start } from '../paintings/paintings';
import { kept, keep } from '../parts/storage';

const KEY = 'stepcast.settings';

export const settings = signal<Settings>(revived(kept(KEY)));
const cleared = signal<ReadonlySet<string>>(new Set());

export const model = computed(() => models.value.find(({ id }) => id === settings.value.model) ?? firstModel.value);

const sorted = computed(() => sortedOut(refused.value ?? {}));
/** By control; a control that was changed since has none. */
export const errors = computed<FieldErrors>(() =>
  Object.fromEntries(Object.entries(sorted.value.fields).filter(([field]) => !cleared.value.has(field))));
export const otherErrors = computed(() => sorted.value.rest);

effect(() => keep(KEY, JSON.stringify(settings.value)));
effect(() => {
  if (refused.value !== undefined) cleared.value = new Set();
});

/** Takes a change, and takes back what was said of the fields. */
export function change(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
  clearErrors(Object.keys(changes));
}

export function clearErrors(fields: string[]): void {
  if (fields.some((field) => field in errors.value)) cleared.value = new Set([...cleared.value, ...fields]);
}

export function chooseModel(id: string): void {
  const chosen = models.value.find((each) => each.id === id);
  if (chosen !== undefined) settings.value = movedTo(chosen, settings.value);
  refused.value = undefined;
}

export function reset(): void {
  settings.value = { ...BLANK, model: settings.value.model };
  refused.value = undefined;
}

export function lockSeed(locked: boolean): void {
  change({ seedLocked: locked, seed: settings.value.seed ?? lastSeed.value ?? Math.floor(Math.random() * 2 ** 32) });
}

/** Sends what the form says; `changes` go with this request alone. */
export async function paintNow(changes: Partial<Settings> = {}): Promise<void> {
  if (model.value === undefined) return;
  // A LoRA that was chosen before the server restarted may be gone.
  const there = new Set(adaptersOf(model.value, adapters.value).map(({ name }) => name));
  const wanted = { ...settings.value, ...changes };
  wanted.loras = wanted.loras.filter(({ name }) => there.has(name));
  try {
    const pictures = await encoded(inputs.value, model.value, sizeOf(model.value, wanted));
    start(requestOf(wanted, model.value, info.value, pictures), inputs.value);
    announce('Painting has begun.');
  } catch {
    refused.value = { violations: [{ field: 'init_image', description: 'This browser cannot read the picture.' }] };
  }
}
