// A body of the OpenAI images API as a wish for the server.
import { type GenerateOptions, ImageFormat, type Model, Priority, PromptSyntax, ResizeMode } from '@stepcast/client';

import type { Config } from '../config.js';
import { chooseSize, type Size } from '../paint/model_choice.js';
import { fromBase64, sizeOf } from '../paint/pictures.js';
import { chooseSampler } from '../paint/samplers.js';
import { invalid } from '../problem.js';
import type { EditBody, GenerationBody } from './schema.js';

export type OutputFormat = 'png' | 'jpeg' | 'webp';
export type Quality = 'low' | 'medium' | 'high';

export interface Pictures {
  image: Buffer;
  mask?: Buffer;
}

/** What to paint, and what the answer tells of it. */
export interface Wish {
  options: GenerateOptions;
  model: Model;
  quality: Quality;
  format: OutputFormat;
  urls: boolean;
  partialImages: number;
}

const FORMATS = { png: ImageFormat.PNG, jpeg: ImageFormat.JPEG, webp: ImageFormat.WEBP } as const;
const QUALITIES = { auto: 'medium', standard: 'medium', hd: 'high', low: 'low', medium: 'medium', high: 'high' } as const;
const SYNTAXES = { plain: PromptSyntax.PLAIN, a1111: PromptSyntax.A1111, a1111_no_norm: PromptSyntax.A1111_NO_NORM } as const;
const PRIORITIES = { interactive: Priority.INTERACTIVE, standard: Priority.STANDARD, batch: Priority.BATCH } as const;

/** Fields that are undefined are left out, so that they are the server's to choose. */
export function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>;
}

/** A model without text paints the class that the prompt names. */
export function condition(prompt: string, negative: string | undefined, model: Model): GenerateOptions {
  if (model.conditioning === 'CONDITIONING_KIND_TEXT') return defined({ prompt, negativePrompt: negative });
  const rest = defined({ negativePrompt: negative });
  return model.conditioning === 'CONDITIONING_KIND_CLASS_LABEL' && prompt !== '' ? { ...rest, classLabel: prompt } : rest;
}

function stepsOf(body: GenerationBody, quality: Quality, model: Model, config: Config): number | undefined {
  const asked = body.num_inference_steps ?? body.steps;
  const factor = config.quality_steps[quality];
  const { steps, timesteps, sigmas } = model.defaults!;
  // A model that was distilled for a list of steps has those.
  if (asked !== undefined || factor === 1 || timesteps.length + sigmas.length > 0) return asked;
  return Math.min(model.limits!.maxSteps, Math.max(1, Math.round(steps * factor)));
}

function askedSize(size: string | undefined): Size | undefined {
  if (size === undefined || size === 'auto') return undefined;
  const [width, height] = size.split('x').map(Number) as [number, number];
  if (width < 1 || height < 1) throw invalid('size', `got ${size}; allowed: auto or WIDTHxHEIGHT`);
  return { width, height };
}

/** Width, height and how the picture is brought to them. */
function sizing(body: GenerationBody, picture: Size | undefined, model: Model, config: Config): GenerateOptions {
  const asked = askedSize(body.size) ?? picture;
  if (asked === undefined) return {};
  const size = chooseSize(asked, model, body.size_policy ?? config.size_policy);
  const same = picture === undefined || (picture.width === size.width && picture.height === size.height);
  return { ...size, ...(same ? {} : { resizeMode: ResizeMode.COVER }) };
}

function output(body: GenerationBody, format: OutputFormat): GenerateOptions['output'] {
  const compression = body.output_compression;
  // OpenAI's default, which SDKs send along, means nothing for what is lossless; anything else is the server's to refuse.
  const quality = compression === undefined || (format === 'png' && compression === 100) ? undefined : Math.max(1, compression);
  return { format: FORMATS[format], ...defined({ quality }) };
}

function control(body: GenerationBody): GenerateOptions {
  if (body.control === undefined) return {};
  return {
    control: body.control.map(({ image, control_type, guess_mode, ...rest }, i) => ({
      ...rest, image: fromBase64(`control[${i}].image`, image), ...defined({ controlType: control_type, guessMode: guess_mode }),
    })),
  };
}

function pictureFields(body: GenerationBody, pictures: Pictures | undefined): GenerateOptions {
  if (pictures === undefined) return defined({ strength: body.strength });
  const strength = body.strength ?? (pictures.mask === undefined ? undefined : 1);
  return { initImage: pictures.image, ...defined({ maskImage: pictures.mask, strength }) };
}

/** Throws a Problem for what cannot be said to the server; the rest is the server's to judge. */
export function wishOf(body: GenerationBody | EditBody, model: Model, config: Config, pictures?: Pictures): Wish {
  if (body.background === 'transparent') throw invalid('background', 'got transparent; allowed: auto, opaque');
  const count = body.n ?? 1;
  if (count > config.limits.max_images) throw invalid('n', `got ${count}; allowed: 1..${config.limits.max_images}`);
  const format = body.output_format ?? 'png';
  const quality = QUALITIES[body.quality ?? 'auto'];
  const picture = pictures === undefined ? undefined : sizeOf('image', pictures.image);
  const options: GenerateOptions = {
    ...condition(body.prompt, body.negative_prompt, model),
    model: model.id,
    imageCount: count,
    output: output(body, format),
    ...sizing(body, picture, model, config),
    ...chooseSampler(body.sampler, body.scheduler),
    ...pictureFields(body, pictures),
    ...control(body),
    ...defined({
      seed: body.seed, steps: stepsOf(body, quality, model, config), guidanceScale: body.guidance_scale, clipSkip: body.clip_skip,
      priority: body.priority === undefined ? undefined : PRIORITIES[body.priority],
      promptSyntax: body.prompt_syntax === undefined ? undefined : SYNTAXES[body.prompt_syntax],
      loras: body.loras?.map(({ text_scale, ...rest }) => ({ ...rest, ...defined({ textScale: text_scale }) })),
    }),
  };
  const urls = (body.response_format ?? ((body.model ?? '').startsWith('dall-e') ? 'url' : 'b64_json')) === 'url';
  return { options, model, quality, format, urls, partialImages: body.partial_images ?? 0 };
}
