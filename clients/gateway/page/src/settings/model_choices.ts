// What a model lets people choose.
import type { Adapter, Model, SamplerSupport } from '../api/wire';
import { whole } from '../api/units';
import type { Settings } from './settings';

export const takesText = (model: Model): boolean => model.conditioning === 'CONDITIONING_KIND_TEXT';
export const takesClass = (model: Model): boolean => model.conditioning === 'CONDITIONING_KIND_CLASS_LABEL';
export const takesGuidance = (model: Model): boolean => takesText(model) || takesClass(model);
/** Models made for inpainting are told what to repaint, others begin with the picture. */
export const needsMask = (model: Model): boolean => model.imageInput === 'IMAGE_INPUT_MASK_AND_PICTURE';
export const needsPicture = (model: Model): boolean => needsMask(model) || followsInstructions(model);
export const followsInstructions = (model: Model): boolean => model.imageInput === 'IMAGE_INPUT_PICTURE';
export const takesMask = (model: Model): boolean => model.encodesPictures === true && !followsInstructions(model);
export const takesStrength = (model: Model): boolean => !followsInstructions(model);

export function samplerOf(model: Model, settings: Settings): SamplerSupport | undefined {
  const wanted = settings.sampler || model.defaults?.sampler;
  return model.samplers?.find(({ sampler }) => sampler === wanted);
}

/** The class of the picture, where one is needed and none is chosen: the first. */
export function classOf(model: Model, settings: Settings): number | undefined {
  if (!takesClass(model)) return undefined;
  const known = (model.classLabels ?? []).some((entry) => (entry.index ?? 0) === settings.classIndex);
  if (known) return settings.classIndex;
  return model.hasNullClass === true ? undefined : (model.classLabels?.[0]?.index ?? 0);
}

/** LoRAs that go with a model. */
export function adaptersOf(model: Model, adapters: Adapter[]): Adapter[] {
  return adapters.filter(({ kind, models }) => kind === 'ADAPTER_KIND_LORA' && (models ?? []).includes(model.id));
}

export interface Size {
  width: number;
  height: number;
}

/** A few sizes that the model allows: its own, upright and wide ones of nearly the same area, and twice as large. */
export function sizesOf(model: Model): Size[] {
  const limits = model.limits ?? {};
  const multiple = limits.sizeMultiple ?? 8;
  const own = { width: model.defaults?.width ?? 512, height: model.defaults?.height ?? 512 };
  const rounded = (side: number) => Math.round(side / multiple) * multiple;
  const short = rounded(Math.min(own.width, own.height) * 0.8);
  const long = rounded(Math.max(own.width, own.height) * 1.2);
  const wishes = [
    own,
    { width: short, height: long },
    { width: long, height: short },
    { width: own.width * 2, height: own.height * 2 },
  ];
  const fits = ({ width, height }: Size) =>
    Math.min(width, height) >= (limits.minSide ?? 8) &&
    Math.max(width, height) <= (limits.maxSide ?? 2048) &&
    width * height <= (whole(limits.maxArea) || Infinity);
  const isNew = (size: Size, index: number) =>
    wishes.findIndex((other) => other.width === size.width && other.height === size.height) === index;
  return wishes.filter((size, index) => fits(size) && isNew(size, index));
}

export function sizeOf(model: Model, settings: Settings): Size {
  return {
    width: settings.width ?? model.defaults?.width ?? 512,
    height: settings.height ?? model.defaults?.height ?? 512,
  };
}

/** The settings, taken to another model: its own numbers, the same words. */
export function movedTo(model: Model, settings: Settings): Settings {
  return {
    ...settings, model: model.id, classIndex: undefined, sampler: '', schedule: '', steps: undefined, guidance: undefined,
    width: undefined, height: undefined, controlNet: '', loras: [],
  };
}
