// Bodies of the OpenAI images API, with our own fields beside theirs.
import { z } from 'zod';

import { Problem } from '../problem.js';

// Forms bring texts, and SDKs null for what was left out.
const number = (description: string) =>
  z.union([z.number(), z.string().regex(/^-?[0-9]+(\.[0-9]+)?$/).transform(Number)]).pipe(z.number()).optional().describe(description);
const integer = (least: number, most: number, description: string) =>
  z.union([z.number(), z.string().regex(/^-?[0-9]+$/).transform(Number)]).pipe(z.number().int().min(least).max(most)).optional()
    .describe(description);
const flag = (description: string) =>
  z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]).optional().describe(description);
const text = (description: string) => z.string().optional().describe(description);

const pictureUrl = z.strictObject({ image_url: z.string().optional(), file_id: z.string().optional() });

const theirs = {
  prompt: z.string().describe('What to paint; for class-conditional models the label of a class.'),
  model: text('Id or alias. Default: the default model.'),
  n: integer(1, 100, 'Pictures. Default: 1.'),
  size: z.string().regex(/^(auto|[0-9]{1,5}x[0-9]{1,5})$/, 'allowed: auto or WIDTHxHEIGHT').optional()
    .describe('WIDTHxHEIGHT, or auto: the model\'s own; of edits that of the picture.'),
  quality: z.enum(['auto', 'low', 'medium', 'high', 'standard', 'hd']).optional().describe('How many steps, as the operator says.'),
  response_format: z.enum(['url', 'b64_json']).optional().describe('Default: b64_json; for the names dall-e-*: url.'),
  output_format: z.enum(['png', 'jpeg', 'webp']).optional().describe('Default: png.'),
  output_compression: integer(0, 100, 'Quality of jpeg and webp.'),
  background: z.enum(['auto', 'opaque', 'transparent']).optional().describe('Pictures are opaque; transparent is refused.'),
  stream: flag('Whether to answer with server-sent events.'),
  partial_images: integer(0, 3, 'Unfinished pictures to show of each picture of a stream. Default: 0.'),
  moderation: z.enum(['auto', 'low']).optional().describe('Without effect.'),
  style: z.enum(['vivid', 'natural', 'auto']).optional().describe('Without effect.'),
  user: text('Without effect.'),
};

const ours = {
  negative_prompt: text('What to avoid.'),
  seed: integer(0, Number.MAX_SAFE_INTEGER, 'Of the first picture.'),
  num_inference_steps: integer(1, 1000, 'Steps; wins over quality.'),
  steps: integer(1, 1000, 'The same.'),
  guidance_scale: number('Strength of classifier-free guidance.'),
  sampler: text('"DPM++ 2M Karras", "Euler a", "DPMPP_2M".'),
  scheduler: text('karras, exponential, beta, lu, automatic.'),
  clip_skip: integer(0, 100, 'Layers of the text encoder to leave out.'),
  prompt_syntax: z.enum(['plain', 'a1111', 'a1111_no_norm']).optional().describe('How prompts are read. Default: plain.'),
  loras: z.array(z.strictObject({ name: z.string(), scale: z.number().optional(), text_scale: z.number().optional() })).optional().describe('Adapters.'),
  control: z.array(z.strictObject({
    model: z.string().optional(), image: z.string(), scale: z.number().optional(), start: z.number().optional(),
    end: z.number().optional(), control_type: z.number().int().optional(), guess_mode: z.boolean().optional(),
  })).optional().describe('Pictures to follow, as base64 or data: URL.'),
  strength: number('How much of the picture may change. Default: 1 beside a mask, else the server\'s.'),
  size_policy: z.enum(['strict', 'nearest', 'fit']).optional().describe('What is done with a size that the model does not paint.'),
  priority: z.enum(['interactive', 'standard', 'batch']).optional().describe('How urgent it is.'),
};

// `loras` and `control` come as JSON in forms.
const structured = (name: 'loras' | 'control') => ({
  [name]: z.union([z.string().transform((given, context) => {
    try {
      return JSON.parse(given) as unknown;
    } catch {
      context.addIssue({ code: 'custom', message: 'got no JSON' });
      return z.NEVER;
    }
  }).pipe(ours[name]), ours[name]]),
});

export const GenerationBody = z.strictObject({ ...theirs, ...ours });
export const EditBody = z.strictObject({
  ...theirs, ...ours, ...structured('loras'), ...structured('control'),
  input_fidelity: z.enum(['auto', 'low', 'high']).optional().describe('Without effect.'),
  images: z.array(pictureUrl).min(1).max(16).optional().describe('The picture, as a data: URL or one of this gateway.'),
  mask: pictureUrl.optional().describe('A PNG of the same size: transparent where it repaints.'),
});
export type GenerationBody = z.infer<typeof GenerationBody>;
export type EditBody = z.infer<typeof EditBody>;

/** Throws a Problem that names every wrong field. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const given = typeof body === 'object' && body !== null && !Array.isArray(body)
    ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) : body;
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const violations = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: key, description: 'there is no such field' }))
      : [{ field: issue.path.join('.') || 'body', description: issue.message }]);
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join(' | ');
  throw new Problem('INVALID_ARGUMENT', 'FIELD_INVALID', message, { violations, param: violations[0]!.field });
}
