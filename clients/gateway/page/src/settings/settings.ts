// What the form holds. undefined: left to the model, and left out of the request.
export interface LoraChoice {
  name: string;
  scale: number;
}

export interface Settings {
  model: string;
  prompt: string;
  negativePrompt: string;
  classIndex: number | undefined;
  sampler: string;
  schedule: string;
  steps: number | undefined;
  guidance: number | undefined;
  width: number | undefined;
  height: number | undefined;
  count: number | undefined;
  seed: number | undefined;
  seedLocked: boolean;
  strength: number;
  maskBlur: number;
  controlNet: string;
  controlScale: number;
  loras: LoraChoice[];
}

export const BLANK: Settings = {
  model: '', prompt: '', negativePrompt: '', classIndex: undefined, sampler: '', schedule: '', steps: undefined,
  guidance: undefined, width: undefined, height: undefined, count: 1, seed: undefined, seedLocked: false, strength: 0.6,
  maskBlur: 0, controlNet: '', controlScale: 1, loras: [],
};

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const isNumberOrUnset: Check = (value) => value === undefined || isNumber(value);
const isLoras: Check = (value) =>
  Array.isArray(value) && value.every((lora: Partial<LoraChoice> | null) => isText(lora?.name) && isNumber(lora?.scale));

const CHECKS: Record<keyof Settings, Check> = {
  model: isText, prompt: isText, negativePrompt: isText, classIndex: isNumberOrUnset, sampler: isText, schedule: isText,
  steps: isNumberOrUnset, guidance: isNumberOrUnset, width: isNumberOrUnset, height: isNumberOrUnset,
  count: isNumberOrUnset, seed: isNumberOrUnset, seedLocked: (value) => typeof value === 'boolean', strength: isNumber,
  maskBlur: isNumber, controlNet: isText, controlScale: isNumber, loras: isLoras,
};

/** Settings out of what an earlier page, perhaps an older one, has kept. What does not fit is left at its default. */
export function revived(kept: string | null): Settings {
  let data: unknown;
  try {
    data = JSON.parse(kept ?? '{}');
  } catch {
    return { ...BLANK };
  }
  if (typeof data !== 'object' || data === null) return { ...BLANK };
  const fitting = Object.entries(data).filter(([key, value]) => key in CHECKS && CHECKS[key as keyof Settings](value));
  return { ...BLANK, ...(Object.fromEntries(fitting) as Partial<Settings>) };
}
