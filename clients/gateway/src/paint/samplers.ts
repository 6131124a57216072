// Names of samplers and schedules: the contract's, A1111's, and what people write.
import { Sampler, SigmaSchedule } from '@stepcast/client';

import { invalid } from '../problem.js';

/** A1111's name of each sampler; none there: the name of its paper. */
export const SAMPLER_NAMES: readonly (readonly [Sampler, string])[] = [
  [Sampler.DPMPP_2M, 'DPM++ 2M'], [Sampler.DPMPP_2M_SDE, 'DPM++ 2M SDE'], [Sampler.DPMPP_3M, 'DPM++ 3M'],
  [Sampler.DPMPP_SINGLESTEP, 'DPM++ 2S'], [Sampler.EULER_ANCESTRAL, 'Euler a'], [Sampler.EULER, 'Euler'], [Sampler.LMS, 'LMS'],
  [Sampler.HEUN, 'Heun'], [Sampler.DPM2, 'DPM2'], [Sampler.DPM2_ANCESTRAL, 'DPM2 a'], [Sampler.DDPM, 'DDPM'], [Sampler.DDIM, 'DDIM'],
  [Sampler.PNDM, 'PLMS'], [Sampler.UNIPC, 'UniPC'], [Sampler.DEIS, 'DEIS'], [Sampler.LCM, 'LCM'], [Sampler.TCD, 'TCD'],
  [Sampler.EDM_EULER, 'EDM Euler'], [Sampler.EDM_DPMPP, 'EDM DPM++ 2M'], [Sampler.SDE_VE, 'SDE VE'], [Sampler.SDE_VP, 'SDE VP'],
  [Sampler.ANNEALED_LANGEVIN, 'Annealed Langevin'],
];

/** A1111's schedulers: name, label. */
export const SCHEDULER_NAMES: readonly (readonly [SigmaSchedule, string, string])[] = [
  [SigmaSchedule.UNSPECIFIED, 'automatic', 'Automatic'], [SigmaSchedule.KARRAS, 'karras', 'Karras'],
  [SigmaSchedule.EXPONENTIAL, 'exponential', 'Exponential'], [SigmaSchedule.BETA, 'beta', 'Beta'], [SigmaSchedule.LU, 'lu', 'Lu'],
  [SigmaSchedule.DEFAULT, 'default', 'Default'],
];

const ALIASES: Record<string, Sampler> = {
  'k_euler': Sampler.EULER, 'k_euler_a': Sampler.EULER_ANCESTRAL, 'euler_a': Sampler.EULER_ANCESTRAL, 'k_lms': Sampler.LMS,
  'k_heun': Sampler.HEUN, 'k_dpm_2': Sampler.DPM2, 'k_dpm_2_a': Sampler.DPM2_ANCESTRAL, 'dpm2_a': Sampler.DPM2_ANCESTRAL,
  'k_dpmpp_2m': Sampler.DPMPP_2M, 'dpmpp2m': Sampler.DPMPP_2M, 'dpm++2m': Sampler.DPMPP_2M, 'dpm++2msde': Sampler.DPMPP_2M_SDE,
  'k_dpmpp_2m_sde': Sampler.DPMPP_2M_SDE, 'dpm++2s': Sampler.DPMPP_SINGLESTEP, 'pndm': Sampler.PNDM,
};

/** Letters and digits alone, so that "DPM++ 2M", "dpmpp_2m" and "DPMPP_2M" are one. */
function plain(name: string): string {
  return name.toLowerCase().replace(/^sampler_|^sigma_schedule_/, '').replace(/\+\+/g, 'pp').replace(/[^a-z0-9]/g, '');
}

function table<Value>(pairs: Iterable<readonly [string, Value]>): Map<string, Value> {
  return new Map([...pairs].map(([name, value]) => [plain(name), value]));
}

const SAMPLERS = table<Sampler>([
  ...SAMPLER_NAMES.map(([sampler, name]) => [name, sampler] as const),
  ...SAMPLER_NAMES.map(([sampler]) => [sampler, sampler] as const),
  ...Object.entries(ALIASES),
]);
const SCHEDULES = table<SigmaSchedule>([
  ...SCHEDULER_NAMES.flatMap(([schedule, name]) => [[name, schedule], [schedule, schedule]] as const),
  // What others call the schedule that the model was made with.
  ['normal', SigmaSchedule.DEFAULT], ['discrete', SigmaSchedule.DEFAULT], ['uniform', SigmaSchedule.DEFAULT],
]);

export interface SamplerChoice {
  sampler?: Sampler;
  sigmaSchedule?: SigmaSchedule;
}

/** Takes "DPM++ 2M Karras" apart into a sampler and its schedule. */
function fused(name: string): SamplerChoice | undefined {
  const parts = /^(.*\S)\s+(\S+)$/.exec(name.trim());
  const sampler = SAMPLERS.get(plain(parts?.[1] ?? ''));
  const sigmaSchedule = SCHEDULES.get(plain(parts?.[2] ?? ''));
  return sampler === undefined || sigmaSchedule === undefined ? undefined : { sampler, sigmaSchedule };
}

function known(names: readonly string[]): string {
  return names.join(', ');
}

/** Nothing, "" and "automatic" leave the choice to the model. Throws a Problem with the names that there are. */
export function chooseSampler(
  sampler: string | undefined, scheduler: string | undefined, fields = { sampler: 'sampler', scheduler: 'scheduler' },
): SamplerChoice {
  const choice: SamplerChoice = {};
  if (sampler !== undefined && plain(sampler) !== '' && plain(sampler) !== 'automatic') {
    const found = SAMPLERS.get(plain(sampler));
    const both = found === undefined ? fused(sampler) : { sampler: found };
    if (both === undefined) {
      throw invalid(fields.sampler, `got ${JSON.stringify(sampler)}; allowed: ${known(SAMPLER_NAMES.map(([, name]) => name))}`);
    }
    Object.assign(choice, both);
  }
  if (scheduler !== undefined && plain(scheduler) !== '') {
    const found = SCHEDULES.get(plain(scheduler));
    if (found === undefined) {
      throw invalid(fields.scheduler, `got ${JSON.stringify(scheduler)}; allowed: ${known(SCHEDULER_NAMES.map(([, name]) => name))}`);
    }
    if (found !== SigmaSchedule.UNSPECIFIED) choice.sigmaSchedule = found;
  }
  return choice;
}

export function samplerName(sampler: Sampler): string {
  return SAMPLER_NAMES.find(([known]) => known === sampler)?.[1] ?? String(sampler);
}

export function schedulerLabel(schedule: SigmaSchedule): string {
  return SCHEDULER_NAMES.find(([known]) => known === schedule)?.[2] ?? String(schedule);
}
