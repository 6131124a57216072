// Answers of the OpenAI images API.
import type { PreviewEvent, StepcastEvent } from '@stepcast/client';

import type { Painting, Usage } from '../paint/painting.js';
import type { Problem } from '../problem.js';
import type { EventStream } from '../sse.js';
import type { Wish } from './wish.js';

const now = (): number => Math.floor(Date.now() / 1000);

/** Pictures are counted in no tokens here; their SDKs' types want the fields. */
function usageJson({ text_tokens, ...took }: Usage) {
  return {
    input_tokens: text_tokens, input_tokens_details: { image_tokens: 0, text_tokens }, output_tokens: 0, total_tokens: text_tokens, ...took,
  };
}

/** What was chosen for the client, for people and logs. */
export function choiceHeaders(wish: Wish, size: string, asked: string | undefined): Record<string, string> {
  return {
    'x-stepcast-model': wish.model.id, 'x-stepcast-size': size, ...(asked === undefined ? {} : { 'x-stepcast-size-asked': asked }),
  };
}

/** `url`: where a picture can be had. */
export function imagesResponse(wish: Wish, painting: Painting, url: (bytes: Buffer, mime: string) => string) {
  const { width, height } = painting.images[0]!;
  return {
    created: now(),
    background: 'opaque', output_format: wish.format, quality: wish.quality, size: `${width}x${height}`,
    data: painting.images.map(({ data, mime, seed }) => ({
      ...(wish.urls ? { url: url(data, mime) } : { b64_json: data.toString('base64') }), seed,
    })),
    model: wish.model.id, usage: usageJson(painting.usage),
    ...(painting.warnings.length === 0 ? {} : { warnings: painting.warnings }),
  };
}

/** A stream's events: previews spread over the steps as asked, finished pictures in their order. */
export class ImageStream {
  private readonly shown = new Map<number, number>();

  constructor(private readonly stream: EventStream, private readonly kind: 'image_generation' | 'image_edit', private readonly wish: Wish,
    private readonly size: string, private readonly steps: number) {}

  onEvent(event: StepcastEvent): void {
    // Who reads slowly gets fewer unfinished pictures.
    if (event.type === 'preview' && !this.stream.full) this.partial(event);
  }

  async completed(painting: Painting): Promise<void> {
    for (const { data, width, height } of painting.images) {
      // The last one tells for all, so that the sum is what was used.
      const usage = data === painting.images.at(-1)!.data ? painting.usage : { text_tokens: 0 };
      await this.send('completed', data, `${width}x${height}`, { usage: usageJson(usage) });
    }
    this.stream.end();
  }

  private partial(preview: PreviewEvent): void {
    const index = this.shown.get(preview.imageIndex) ?? 0;
    const due = ((index + 1) * this.steps) / (this.wish.partialImages + 1);
    if (index >= this.wish.partialImages || preview.step < Math.floor(due)) return;
    this.shown.set(preview.imageIndex, index + 1);
    void this.send('partial_image', preview.data, this.size, { partial_image_index: index });
  }

  private send(name: string, data: Buffer, size: string, rest: object): Promise<void> {
    const type = `${this.kind}.${name}`;
    return this.stream.send(type, {
      type, b64_json: data.toString('base64'), created_at: now(), size, quality: this.wish.quality, background: 'opaque',
      output_format: this.wish.format, ...rest,
    });
  }
}

const TYPES: Record<number, string> = { 401: 'authentication_error', 403: 'permission_error', 429: 'rate_limit_error' };
const CODES: Record<string, string> = {
  MODEL_NOT_FOUND: 'model_not_found', TOKEN_MISSING: 'invalid_api_key', TOKEN_INVALID: 'invalid_api_key',
  FIELD_INVALID: 'invalid_value', NO_SUCH_ROUTE: 'unknown_url',
};
// What our fields are called in their API.
const PARAMS: Record<string, string> = {
  width: 'size', height: 'size', image_count: 'n', init_image: 'image', mask_image: 'mask', 'output.quality': 'output_compression',
  class_label: 'prompt', sigma_schedule: 'scheduler',
};

/** An error in OpenAI's shape; `violations` beside it lists every wrong field. */
export function errorJson({ http, reason, message, param, violations, status }: Problem) {
  return {
    error: {
      message, type: TYPES[http] ?? (http >= 500 ? 'server_error' : 'invalid_request_error'),
      param: param === undefined ? null : (PARAMS[param] ?? param),
      code: http === 429 ? 'rate_limit_exceeded' : (CODES[reason] ?? (reason || status).toLowerCase()),
      ...(violations.length > 1 ? { violations } : {}),
    },
  };
}
