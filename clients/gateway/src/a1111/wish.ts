// A body of the A1111 API as a wish for the server.
import { BlendDomain, type GenerateOptions, ImageFormat, InpaintFill, type Model, PromptSyntax, ResizeMode } from '@stepcast/client';

import type { Config } from '../config.js';
import { condition, defined } from '../openai/wish.js';
import { chooseSize } from '../paint/model_choice.js';
import { fromBase64, sizeOf } from '../paint/pictures.js';
import { chooseSampler } from '../paint/samplers.js';
import { invalid } from '../problem.js';
import type { ControlUnit, ImageBody, TextBody } from './schema.js';

const LORA = /<lora:([^:<>]+)((?::[^:<>]*)*)>/gi;
const RESIZE = [ResizeMode.STRETCH, ResizeMode.COVER, ResizeMode.FIT] as const;
const FILL: Record<number, InpaintFill> = { 1: InpaintFill.ORIGINAL, 2: InpaintFill.NOISE };

/** Whom a body is for. */
export interface Target {
  model: Model;
  config: Config;
  /** Whether the server reads A1111's prompts. */
  readsSyntax: boolean;
  /** What the client has set by POST options. */
  optionsSkip: number | undefined;
  /** LoRAs that change no text encoder. */
  wordless: ReadonlySet<string>;
}

function weight(text: string | undefined, fallback: number): number {
  const value = text === undefined || text === '' ? fallback : Number(text);
  if (!Number.isFinite(value)) throw invalid('prompt', `got the weight ${JSON.stringify(text)} of a LoRA; allowed: a number`);
  return value;
}

interface Lora {
  name: string;
  scale: number;
  textScale?: number;
}

/** `text`: ":0.4", ":0.4:0.9", ":te=0.4:unet=0.9". One weight is for both. */
function loraOf(name: string, text: string): Lora {
  const words = text.split(':').slice(1);
  const named = new Map(words.filter((word) => word.includes('=')).map((word) => word.split('=', 2) as [string, string]));
  const [first, second] = words.filter((word) => !word.includes('='));
  const encoder = weight(named.get('te') ?? first, 1);
  const denoiser = weight(named.get('unet') ?? second, encoder);
  return { name, scale: denoiser, ...(denoiser === encoder ? {} : { textScale: encoder }) };
}

/** Takes <lora:name:weight> out of a prompt; a second weight is the denoiser's, the first then the text encoder's. */
export function takeLoras(prompt: string): { prompt: string; loras: Lora[] } {
  const loras = [...prompt.matchAll(LORA)].map(([, name, text]) => loraOf(name!, text!));
  return { prompt: prompt.replace(LORA, '').trim(), loras };
}

export const namesLoras = (prompt: string): boolean => prompt.search(LORA) >= 0;

/** The contract refuses a weight for what is not there; A1111 passes over it. */
function fitting({ textScale, ...lora }: Lora, wordless: ReadonlySet<string>): Lora {
  return textScale === undefined || wordless.has(lora.name) ? lora : { ...lora, textScale };
}

function texts(body: TextBody, { model, readsSyntax, wordless }: Target): GenerateOptions {
  const { prompt, loras } = takeLoras(body.prompt);
  const negative = body.negative_prompt === '' ? undefined : (body.negative_prompt ?? undefined);
  return {
    ...condition(prompt, negative === undefined ? undefined : takeLoras(negative).prompt, model),
    ...(readsSyntax && model.conditioning === 'CONDITIONING_KIND_TEXT' ? { promptSyntax: PromptSyntax.A1111 } : {}),
    ...(loras.length === 0 ? {} : { loras: loras.map((lora) => fitting(lora, wordless)) }),
  };
}

/** A1111 counts the layers that are used from the end: 1 leaves none out. SDXL's layer is fixed there. */
function clipSkip(body: TextBody, optionsSkip: number | undefined, model: Model): number | undefined {
  const given = body.clip_skip ?? body.override_settings?.CLIP_stop_at_last_layers ?? optionsSkip;
  if (given === undefined || given === null || given <= 1 || model.takesPrompt2) return undefined;
  return given - 1;
}

function sizing(body: TextBody, model: Model, config: Config): GenerateOptions {
  if (!body.width && !body.height) return {};
  const { width, height } = model.defaults!;
  return chooseSize({ width: body.width || width, height: body.height || height }, model, config.size_policy);
}

function pictureOf(unit: ControlUnit): string | undefined {
  const image = typeof unit.image === 'object' ? unit.image?.image : unit.image;
  return image ?? unit.input_image ?? undefined;
}

/** Units of the ControlNet extension. Its preprocessors are not here: the picture is what the net follows. */
function control(body: TextBody): GenerateOptions {
  const units = (body.alwayson_scripts?.controlnet?.args ?? []).filter((unit) => unit.enabled !== false);
  if (units.length === 0) return {};
  return {
    control: units.map((unit, i) => {
      const field = `alwayson_scripts.controlnet.args[${i}]`;
      if (unit.module && unit.module.toLowerCase() !== 'none') {
        throw invalid(`${field}.module`, `got ${JSON.stringify(unit.module)}; allowed: none, with a picture that was prepared`);
      }
      const picture = pictureOf(unit);
      if (picture === undefined) throw invalid(`${field}.image`, 'got none; allowed: a PNG, JPEG or WebP file as base64');
      // The extension tells names like "sketch [1a2b3c4d]".
      const name = unit.model?.replace(/ \[[0-9a-f]+\]$/, '');
      return {
        image: fromBase64(`${field}.image`, picture),
        ...defined({
          model: name === 'None' ? undefined : name, scale: unit.weight ?? undefined, start: unit.guidance_start ?? undefined,
          end: unit.guidance_end ?? undefined,
        }),
      };
    }),
  };
}

/** What both routes have in common. */
export function wishOfText(body: TextBody, target: Target): GenerateOptions {
  const { model, config, optionsSkip } = target;
  const fields = { sampler: 'sampler_name', scheduler: 'scheduler' };
  const imageCount = (body.batch_size ?? 1) * (body.n_iter ?? 1);
  if (imageCount > config.limits.max_images) {
    throw invalid('batch_size', `got ${imageCount} pictures; allowed: 1..${config.limits.max_images}, times n_iter`);
  }
  return {
    ...texts(body, target),
    model: model.id,
    imageCount,
    // Where the infotext is read from, and what A1111 writes, too.
    output: { format: ImageFormat.PNG, embedParameters: true },
    ...sizing(body, model, config),
    ...chooseSampler(body.sampler_name || body.sampler_index || undefined, body.scheduler ?? undefined, fields),
    ...control(body),
    ...defined({
      seed: body.seed === undefined || body.seed === null || body.seed < 0 ? undefined : body.seed,
      steps: body.steps ?? undefined, guidanceScale: body.cfg_scale ?? undefined, clipSkip: clipSkip(body, optionsSkip, model),
    }),
  };
}

/** A1111's default, too. */
function paintsOnlyMasked(body: ImageBody): boolean {
  return Boolean(body.mask) && Boolean(body.inpaint_full_res ?? true);
}

function inpaint(body: ImageBody): GenerateOptions['inpaint'] {
  const fill = body.inpainting_fill ?? 1;
  if (FILL[fill] === undefined) throw invalid('inpainting_fill', `got ${fill}; allowed: 1 (original), 2 (latent noise)`);
  const onlyMasked = paintsOnlyMasked(body);
  return {
    fill: FILL[fill]!, blendDomain: BlendDomain.X0, blur: body.mask_blur ?? body.mask_blur_x ?? body.mask_blur_y ?? 4,
    ...(body.inpainting_mask_invert ? { invert: true } : {}),
    ...(onlyMasked ? { onlyMasked, padding: body.inpaint_full_res_padding ?? 0 } : {}),
  };
}

export function wishOfImage(body: ImageBody, target: Target): GenerateOptions {
  const { model, config } = target;
  const initImage = fromBase64('init_images[0]', body.init_images[0]!);
  const picture = sizeOf('init_images[0]', initImage);
  const size = chooseSize({ width: body.width || picture.width, height: body.height || picture.height }, model, config.size_policy);
  const mode = RESIZE[body.resize_mode ?? 0];
  if (mode === undefined) throw invalid('resize_mode', `got ${body.resize_mode}; allowed: 0 (just), 1 (crop), 2 (fill)`);
  const fits = paintsOnlyMasked(body) || (picture.width === size.width && picture.height === size.height);
  return {
    ...wishOfText(body, target),
    initImage,
    ...size,
    ...(fits ? {} : { resizeMode: mode }),
    strength: body.denoising_strength ?? 0.75,
    ...(body.mask ? { maskImage: fromBase64('mask', body.mask), inpaint: inpaint(body) } : {}),
  };
}
