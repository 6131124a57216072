// Models as servers describe them.
import type { Model } from '../../src/api/wire';

export const EMOJI: Model = {
  id: 'emoji', displayName: 'Emoji', conditioning: 'CONDITIONING_KIND_TEXT', encodesPictures: true, family: 'tiny',
  samplers: [
    { sampler: 'SAMPLER_DPMPP_2M', sigmaSchedules: ['SIGMA_SCHEDULE_DEFAULT', 'SIGMA_SCHEDULE_KARRAS'] },
    { sampler: 'SAMPLER_DDIM', sigmaSchedules: ['SIGMA_SCHEDULE_DEFAULT'], takesEta: true },
  ],
  defaults: { sampler: 'SAMPLER_DPMPP_2M', steps: 20, guidanceScale: 2.5, width: 64, height: 64 },
  limits: { sizeMultiple: 8, minSide: 32, maxSide: 256, maxArea: '65536', maxSteps: 150 },
  decoding: { preview: 'PREVIEW_DECODER_NETWORK' },
  controlNets: [{ id: 'emoji-sketch' }],
};

export const DIGITS: Model = {
  ...EMOJI, id: 'digits', conditioning: 'CONDITIONING_KIND_CLASS_LABEL', hasNullClass: true, controlNets: [],
  classLabels: [{ label: '0' }, { index: 1, label: '1' }], decoding: { preview: 'PREVIEW_DECODER_NONE' },
};
