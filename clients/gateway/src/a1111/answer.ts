// Answers of the A1111 API.
import type { Model } from '@stepcast/client';

import { pngText } from '../paint/pictures.js';
import type { Painting } from '../paint/painting.js';
import { samplerName, SCHEDULER_NAMES, SAMPLER_NAMES, schedulerLabel } from '../paint/samplers.js';
import type { Problem } from '../problem.js';
import { ignoredFields, type TextBody } from './schema.js';

const SHORT = 10;

/** `info`: a text of JSON, as A1111 has it. */
function info(body: TextBody, model: Model, painting: Painting): string {
  const { images, request, warnings, usage } = painting;
  const all = <Value>(value: Value): Value[] => images.map(() => value);
  const { width, height } = images[0]!;
  // As there, the prompt keeps the LoRAs that it names.
  const prompt = request.loras.length > 0 ? body.prompt : (request.prompt ?? body.prompt);
  const negative = request.negativePrompt ?? '';
  return JSON.stringify({
    prompt, all_prompts: all(prompt), negative_prompt: negative, all_negative_prompts: all(negative),
    seed: images[0]!.seed, all_seeds: images.map((image) => image.seed), subseed: -1, all_subseeds: all(-1), subseed_strength: 0,
    width, height, sampler_name: samplerName(request.sampler), scheduler: schedulerLabel(request.sigmaSchedule), cfg_scale: request.guidanceScale, steps: request.steps,
    batch_size: images.length, restore_faces: false, face_restoration_model: null, sd_model_name: model.id,
    sd_model_hash: model.sha256.slice(0, SHORT), sd_vae_name: null, sd_vae_hash: null, seed_resize_from_w: -1, seed_resize_from_h: -1,
    denoising_strength: request.strength ?? null, extra_generation_params: {}, index_of_first_image: 0,
    infotexts: images.map((image) => pngText(image.data, 'parameters') ?? ''),
    styles: [], job_timestamp: new Date().toISOString().replace(/\D/g, '').slice(0, 14), clip_skip: (request.clipSkip ?? 0) + 1,
    is_using_inpainting_conditioning: false, version: 'stepcast',
    // Ours: what was not heeded, what the server would have people know, what it took.
    ignored: ignoredFields(body), warnings, usage,
  });
}

export function paintedJson(body: TextBody, model: Model, painting: Painting) {
  return {
    images: body.send_images === false ? [] : painting.images.map((image) => image.data.toString('base64')),
    // Without the pictures that came, as there.
    parameters: { ...body, init_images: null, mask: null, alwayson_scripts: {} },
    info: info(body, model, painting),
  };
}

export function modelJson({ id, sha256 }: Model) {
  const hash = sha256.slice(0, SHORT);
  return { title: titleOf(id), model_name: id, hash, sha256, filename: id, config: null };
}

export function titleOf(id: string): string {
  return id;
}

/** The samplers that the model takes, by A1111's names. */
export function samplersJson(model: Model) {
  return SAMPLER_NAMES.filter(([sampler]) => model.samplers.some((support) => support.sampler === sampler)).map(([sampler, name]) => ({
    name, aliases: [`k_${sampler.replace('SAMPLER_', '').toLowerCase()}`, sampler.replace('SAMPLER_', '')], options: {},
  }));
}

export function schedulersJson(model: Model) {
  const there = new Set(model.samplers.flatMap((support) => support.sigmaSchedules));
  return SCHEDULER_NAMES.filter(([schedule, name]) => name === 'automatic' || there.has(schedule)).map(([, name, label]) => ({
    name, label, aliases: null, default_rho: -1, need_inner_model: false,
  }));
}

/** An error in A1111's shape. */
export function errorJson({ reason, status, message, violations }: Problem) {
  return { error: reason || status, detail: message, body: '', errors: message, violations };
}
