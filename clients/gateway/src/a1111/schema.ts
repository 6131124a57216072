// Bodies of the A1111 API, as far as they mean something here. What else comes is ignored, and told in `info`.
import { z } from 'zod';

const many = (most: number) => z.number().int().min(1).max(most).nullish();
const text = z.string().nullish();
const number = z.number().nullish();
const integer = z.number().int().nullish();

const ControlUnit = z.looseObject({
  enabled: z.boolean().nullish(), model: text, module: text, weight: number, guidance_start: number, guidance_end: number,
  image: z.union([z.string(), z.looseObject({ image: z.string() })]).nullish(), input_image: text,
});

const shared = {
  prompt: z.string().default(''),
  negative_prompt: text,
  seed: integer,
  batch_size: many(100),
  n_iter: many(100),
  steps: integer,
  cfg_scale: number,
  width: integer,
  height: integer,
  sampler_name: text,
  sampler_index: text,
  scheduler: text,
  clip_skip: integer,
  send_images: z.boolean().nullish(),
  force_task_id: text,
  override_settings: z.looseObject({ sd_model_checkpoint: text, CLIP_stop_at_last_layers: integer }).nullish(),
  alwayson_scripts: z.looseObject({ controlnet: z.looseObject({ args: z.array(ControlUnit) }).nullish() }).nullish(),
};

export const TextBody = z.looseObject(shared);
export const ImageBody = z.looseObject({
  ...shared,
  init_images: z.array(z.string()).length(1),
  denoising_strength: number,
  mask: text,
  mask_blur: number,
  mask_blur_x: number,
  mask_blur_y: number,
  inpainting_fill: integer,
  inpaint_full_res: z.union([z.boolean(), z.number()]).nullish(),
  inpaint_full_res_padding: integer,
  inpainting_mask_invert: integer,
  resize_mode: integer,
});
export type TextBody = z.infer<typeof TextBody>;
export type ImageBody = z.infer<typeof ImageBody>;
export type ControlUnit = z.infer<typeof ControlUnit>;

export const OptionsBody = z.looseObject({ sd_model_checkpoint: text, CLIP_stop_at_last_layers: integer });

const MEANT = new Set([...Object.keys(ImageBody.shape), 'denoising_strength', 'save_images', 'do_not_save_samples', 'do_not_save_grid']);

/** Fields that ask for something and mean nothing here. */
export function ignoredFields(body: Record<string, unknown>): string[] {
  const asks = (value: unknown): boolean =>
    value !== null && value !== false && value !== '' && value !== 0 && !(typeof value === 'object' && Object.keys(value!).length === 0);
  return Object.entries(body).filter(([key, value]) => !MEANT.has(key) && asks(value)).map(([key]) => key);
}
