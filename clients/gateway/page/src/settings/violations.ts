// Which control of the form a refusal is about.
import type { Refusal } from '../api/wire';

const CONTROLS: Record<string, string> = {
  model: 'model', prompt: 'prompt', negative_prompt: 'negativePrompt', class_index: 'classIndex', class_label: 'classIndex',
  sampler: 'sampler', sigma_schedule: 'schedule', steps: 'steps', guidance_scale: 'guidance', width: 'width',
  height: 'height', image_count: 'count', seed: 'seed', strength: 'strength', init_image: 'start', mask_image: 'start',
  inpaint: 'start', resize_mode: 'start', control: 'sketch', loras: 'loras',
};

export type FieldErrors = Record<string, string>;

/** "control[0].image" is about "control", "guidanceScale" about "guidance_scale". */
function topOf(field: string): string {
  const top = field.replace(/[[.].*$/, '');
  return top.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The sentence for people: without the pointer to the API's lists, which the form already shows. */
function sentence(description: string): string {
  const plain = description.replace(/, see [\w.]+ of \w+$/, '').replace(/^got (.*); allowed: /s, 'Got $1. Allowed: ').trim();
  return plain === '' ? 'The server does not take this.' : plain;
}

/** The sentences by control. `rest`: what no control of the form is about. */
export function sortedOut(refusal: Refusal): { fields: FieldErrors; rest: string[] } {
  const fields: FieldErrors = {};
  const rest: string[] = [];
  for (const { field = '', description = '' } of refusal.violations ?? []) {
    const control = CONTROLS[topOf(field)];
    if (control === undefined) rest.push(field === '' ? description : `${field}: ${description}`);
    else fields[control] ??= sentence(description);
  }
  return { fields, rest };
}
