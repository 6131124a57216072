// Eight requests that differ in all that requests can differ in, one shortly after the other: they share ticks all the same.
import type { Model } from '../api/wire';
import { model, paintNow } from '../settings/form';
import { takesText } from '../settings/model_choices';
import type { Settings } from '../settings/settings';

const PROMPTS = ['a red apple', 'panda', 'a rocket', 'sunflower', 'cat face', 'a slice of pizza', 'octopus', 'a guitar'];
const SAMPLERS = ['SAMPLER_EULER', 'SAMPLER_DPMPP_2M', 'SAMPLER_DDIM', 'SAMPLER_UNIPC', 'SAMPLER_EULER_ANCESTRAL', 'SAMPLER_LMS'];
/** Of the model's own number of steps. */
const LENGTHS = [2, 1, 1.5, 0.8, 1.8, 1.2, 2.4, 1];
const APART_MS = 180;

function wish(chosen: Model, index: number): Partial<Settings> {
  const samplers = SAMPLERS.filter((name) => (chosen.samplers ?? []).some(({ sampler }) => sampler === name));
  const own = chosen.defaults?.steps ?? 20;
  const most = chosen.limits?.maxSteps ?? 150;
  const labels = chosen.classLabels ?? [];
  return {
    count: 1, seedLocked: false, schedule: '', guidance: undefined,
    sampler: samplers[index % Math.max(1, samplers.length)] ?? '',
    steps: Math.max(1, Math.min(most, Math.round(own * 1.5 * (LENGTHS[index] ?? 1)))),
    ...(takesText(chosen) ? { prompt: PROMPTS[index] ?? '', negativePrompt: '' } : {}),
    ...(labels.length > 0 ? { classIndex: labels[index % labels.length]?.index ?? 0 } : {}),
  };
}

export async function paintTogether(): Promise<void> {
  const chosen = model.value;
  if (chosen === undefined) return;
  for (let index = 0; index < PROMPTS.length; ++index) {
    void paintNow(wish(chosen, index));
    await new Promise((resolve) => setTimeout(resolve, APART_MS));
  }
}
