// Which model a name means, and which of its sizes.
import type { Model } from '@stepcast/client';

import { Problem } from '../problem.js';

/** The model that a client's name means: an id, an alias, or nothing for the default one. */
export function chooseModel(name: string, models: readonly Model[], aliases: Record<string, string>): Model {
  const id = models.some((model) => model.id === name) ? name : (aliases[name] ?? name);
  const found = id === '' ? (models.find((model) => model.isDefault) ?? models[0]) : models.find((model) => model.id === id);
  if (found !== undefined) return found;
  const known = [...models.map((model) => model.id), ...Object.keys(aliases)].join(', ');
  throw new Problem('NOT_FOUND', 'MODEL_NOT_FOUND', `model: got ${JSON.stringify(name)}; there are: ${known}`, { param: 'model' });
}

export interface Size {
  width: number;
  height: number;
}

export type SizePolicy = 'strict' | 'nearest' | 'fit';

function scaled({ width, height }: Size, factor: number): Size {
  return { width: width * factor, height: height * factor };
}

/** Rounded to what the model's grid has, never beyond its limits. */
function onGrid(size: Size, { limits }: Model): Size {
  const { sizeMultiple: multiple, minSide, maxSide, maxArea } = limits!;
  const least = Math.ceil(minSide / multiple) * multiple;
  const most = Math.floor(maxSide / multiple) * multiple;
  const round = (side: number): number => Math.min(most, Math.max(least, Math.round(side / multiple) * multiple));
  const rounded = { width: round(size.width), height: round(size.height) };
  while (rounded.width * rounded.height > maxArea && Math.max(rounded.width, rounded.height) > least) {
    if (rounded.width >= rounded.height) rounded.width -= multiple;
    else rounded.height -= multiple;
  }
  return rounded;
}

/**
 * The size to ask the server for. strict: as it came. nearest: that, shrunk in its own proportions where it is too large,
 * and rounded. fit: in those proportions with as many pixels as the model's own size.
 */
export function chooseSize(asked: Size, model: Model, policy: SizePolicy): Size {
  const { maxSide, maxArea } = model.limits!;
  const area = asked.width * asked.height;
  if (policy === 'strict') return asked;
  if (policy === 'nearest') {
    const longest = Math.max(asked.width, asked.height);
    return onGrid(scaled(asked, Math.min(1, maxSide / longest, Math.sqrt(maxArea / area))), model);
  }
  const { width, height } = model.defaults!;
  return onGrid(scaled(asked, Math.sqrt((width * height) / area)), model);
}
