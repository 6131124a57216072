// The request that the form's settings ask for.
import type { GenerateRequest, Model, ServerInfo } from '../api/wire';
import { classOf, samplerOf, sizeOf, takesClass, takesGuidance, takesStrength, takesText } from './model_choices';
import type { Settings } from './settings';

/** Pictures of a request, base64. */
export interface EncodedInputs {
  start?: string;
  mask?: string;
  sketch?: string;
}

/** Enough previews to watch the picture come, never more than the server makes. */
const PREVIEWS = 16;

export function previewEvery(steps: number, most: number): number {
  return Math.max(1, Math.ceil(steps / Math.max(1, Math.min(PREVIEWS, most))));
}

export function requestOf(settings: Settings, model: Model, info: ServerInfo, inputs: EncodedInputs = {}): GenerateRequest {
  const request: GenerateRequest = { model: model.id };
  if (takesText(model)) {
    request.prompt = settings.prompt;
    if (settings.negativePrompt.trim() !== '') request.negativePrompt = settings.negativePrompt;
  }
  const classIndex = classOf(model, settings);
  if (takesClass(model) && classIndex !== undefined) request.classIndex = classIndex;
  if (settings.seedLocked && settings.seed !== undefined) request.seed = settings.seed;
  if (settings.count !== undefined) request.imageCount = settings.count;
  const size = sizeOf(model, settings);
  request.width = size.width;
  request.height = size.height;
  const steps = settings.steps ?? model.defaults?.steps;
  if (settings.steps !== undefined) request.steps = settings.steps;
  // A class model that may paint any class is guided only where one is chosen.
  if (settings.guidance !== undefined && takesGuidance(model) && (takesText(model) || classIndex !== undefined)) {
    request.guidanceScale = settings.guidance;
  }
  if (settings.sampler !== '') request.sampler = settings.sampler;
  const support = samplerOf(model, settings);
  if (settings.schedule !== '' && (support?.sigmaSchedules ?? []).includes(settings.schedule)) {
    request.sigmaSchedule = settings.schedule;
  }
  addPictures(request, settings, model, inputs);
  if (settings.loras.length > 0) request.loras = settings.loras;
  if (model.decoding?.preview !== 'PREVIEW_DECODER_NONE') {
    request.preview = { everyNSteps: previewEvery(steps ?? 50, info.limits?.maxPreviewsPerImage ?? 25) };
  }
  return request;
}

function addPictures(request: GenerateRequest, settings: Settings, model: Model, inputs: EncodedInputs): void {
  if (inputs.start !== undefined) {
    request.initImage = inputs.start;
    if (takesStrength(model)) request.strength = settings.strength;
    if (inputs.mask !== undefined) {
      request.maskImage = inputs.mask;
      if (settings.maskBlur > 0) request.inpaint = { blur: settings.maskBlur };
    }
  }
  if (inputs.sketch !== undefined) {
    const net = settings.controlNet || model.controlNets?.[0]?.id;
    request.control = [{ ...(net === undefined ? {} : { model: net }), image: inputs.sketch, scale: settings.controlScale }];
  }
}

/** The settings that painted a picture. `keepSeed`: paint the very same again. */
export function settingsOf(request: GenerateRequest, before: Settings, seed: number | undefined): Settings {
  return {
    ...before,
    model: request.model ?? before.model,
    prompt: request.prompt ?? '',
    negativePrompt: request.negativePrompt ?? '',
    classIndex: request.classIndex,
    sampler: request.sampler ?? '',
    schedule: request.sigmaSchedule ?? '',
    steps: request.steps,
    guidance: request.guidanceScale,
    width: request.width,
    height: request.height,
    count: 1,
    seed: seed ?? before.seed,
    seedLocked: seed !== undefined,
    strength: request.strength ?? before.strength,
    maskBlur: request.inpaint?.blur ?? 0,
    controlNet: request.control?.[0]?.model ?? '',
    controlScale: request.control?.[0]?.scale ?? 1,
    loras: (request.loras ?? []).map(({ name, scale }) => ({ name, scale: scale ?? 1 })),
  };
}
