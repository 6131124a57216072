// Proto JSON's ways to write numbers, and people's ways to read them.
import type { Whole } from './wire';

export const whole = (value: Whole | undefined): number => Number(value ?? 0);

/** "1.5s" in milliseconds; undefined where there is no duration. */
export function milliseconds(duration: string | undefined): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)s$/.exec(duration ?? '');
  return match ? Number(match[1]) * 1000 : undefined;
}

/** A span of time as people say it: "0.3 s", "12 s", "2 min 5 s". */
export function spoken(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 995) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

const NAMES: Record<string, string> = {
  DDPM: 'DDPM', DDIM: 'DDIM', PNDM: 'PNDM', LMS: 'LMS', DPM2: 'DPM2', UNIPC: 'UniPC', DEIS: 'DEIS', LCM: 'LCM', TCD: 'TCD',
  DPM2_ANCESTRAL: 'DPM2 ancestral', DPMPP_2M: 'DPM++ 2M', DPMPP_2M_SDE: 'DPM++ 2M SDE', DPMPP_3M: 'DPM++ 3M',
  DPMPP_SINGLESTEP: 'DPM++ singlestep', EDM_EULER: 'EDM Euler', EDM_DPMPP: 'EDM DPM++', SDE_VE: 'SDE-VE', SDE_VP: 'SDE-VP',
  LU: 'Lu',
};

/** "SAMPLER_DPMPP_2M" as the field writes it; names that the page does not know lose their prefix and capitals. */
export function named(value: string, prefix: string): string {
  const bare = value.startsWith(prefix) ? value.slice(prefix.length) : value;
  const words = bare.toLowerCase().replaceAll('_', ' ');
  return NAMES[bare] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

export const samplerName = (value: string): string => named(value, 'SAMPLER_');
export const scheduleName = (value: string): string => named(value, 'SIGMA_SCHEDULE_');
