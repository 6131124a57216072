// Pictures that go with the next request.
import { signal } from '@preact/signals';

import type { Model } from '../api/wire';
import type { EncodedInputs } from '../settings/request';
import { needsMask, type Size, takesMask } from '../settings/model_choices';
import { encodedMask, encodedPicture, encodedSketch } from './encode';
import { type Drawing, EMPTY, marks } from './strokes';

export interface Inputs {
  start: Blob | undefined;
  mask: Drawing;
  sketch: Drawing;
  /** In place of a drawn sketch. */
  sketchFile: Blob | undefined;
  /** Some nets have learnt light lines on black. */
  sketchInverted: boolean;
}

export const NO_INPUTS: Inputs = { start: undefined, mask: EMPTY, sketch: EMPTY, sketchFile: undefined, sketchInverted: false };

export const inputs = signal<Inputs>(NO_INPUTS);

export function changeInputs(change: Partial<Inputs>): void {
  inputs.value = { ...inputs.value, ...change };
}

/** What of the inputs a model takes, encoded. */
export async function encoded(from: Inputs, model: Model, size: Size): Promise<EncodedInputs> {
  const result: EncodedInputs = {};
  if (from.start !== undefined && model.encodesPictures === true) {
    result.start = await encodedPicture(from.start, size);
    if (takesMask(model) && (marks(from.mask) || needsMask(model))) {
      result.mask = await encodedMask(from.mask.strokes, size);
    }
  }
  if ((model.controlNets ?? []).length > 0) {
    if (from.sketchFile !== undefined) result.sketch = await encodedPicture(from.sketchFile, size, from.sketchInverted);
    else if (marks(from.sketch)) result.sketch = await encodedSketch(from.sketch.strokes, size, from.sketchInverted);
  }
  return result;
}
